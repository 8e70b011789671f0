import { type Digest } from '../../runtime/core/digest.js'

/** What a tag may point at, by what clients were told. */
interface History {
  /** Manifests in the order in which they were put, whatever became of that. */
  readonly puts: Digest[]
  /** Position of the last put that was acknowledged; -1 for none. */
  acknowledged: number
}

/**
 * Remembers what the cluster has promised. Each tag has one writer, which puts one manifest after the other, so that
 * a tag may never point at anything older than the last one that was acknowledged when the read began.
 */
export class Ledger {
  readonly #tags = new Map<string, History>()
  readonly #contents = new Map<Digest, readonly Digest[]>()
  readonly problems: string[] = []

  get acknowledgedCount (): number { return [...this.#tags.values()].filter(({ acknowledged }) => acknowledged >= 0).length }
  get putCount (): number { return [...this.#tags.values()].reduce((sum, { puts }) => sum + puts.length, 0) }

  /** A put begins. Returns what to call when it was acknowledged. */
  put (tag: string, manifest: Digest, blobs: readonly Digest[]): () => void {
    const history = this.#tags.get(tag) ?? { puts: [], acknowledged: -1 }
    this.#tags.set(tag, history)
    this.#contents.set(manifest, blobs)
    const position = history.puts.push(manifest) - 1
    return () => { history.acknowledged = Math.max(history.acknowledged, position) }
  }

  /** A read of an acknowledged tag begins. Returns what to call with what it gave; undefined for "no such tag". */
  read (tag: string): (found: Digest | undefined, who: string) => void {
    const history = this.#tags.get(tag)
    const least = history?.acknowledged ?? -1
    return (found, who) => {
      if (history === undefined || least < 0) return
      if (found === undefined) this.problems.push(`LOST: ${who} does not know the tag ${tag}, of which put ${least} was acknowledged`)
      else if (history.puts.lastIndexOf(found) < least) {
        this.problems.push(`MOVED BACK: ${who} says that ${tag} is put ${history.puts.lastIndexOf(found)}, and put ${least} was acknowledged`)
      }
    }
  }

  /** Tags of which a put was acknowledged. */
  tags (): string[] { return [...this.#tags].filter(([, { acknowledged }]) => acknowledged >= 0).map(([tag]) => tag) }

  /** The blobs of a manifest. */
  blobsOf (manifest: Digest): readonly Digest[] { return this.#contents.get(manifest) ?? [] }

  /** Every blob that was acknowledged, manifests included. */
  * blobs (): Generator<Digest> {
    for (const { puts, acknowledged } of this.#tags.values()) {
      const manifest = puts[acknowledged]
      if (manifest !== undefined) yield * [manifest, ...this.blobsOf(manifest)]
    }
  }
}
