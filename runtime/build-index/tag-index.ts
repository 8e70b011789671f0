export interface PageQuery {
  /** Names up to and including this one are left out. */
  readonly after?: string | undefined
  /** How many names at most; all if absent. */
  readonly limit?: number | undefined
}

export interface Page {
  readonly names: string[]
  /** The `after` of the next page; undefined on the last one. */
  readonly next: string | undefined
}

/**
 * The names of all tags in sorted order, so that lists are stable and pages cost a binary search. A prefix is a path in
 * the tree that Kraken's backends keep, where `library/app:1.0` lies at
 *
 *   library/app/_manifests/tags/1.0
 *
 * so `library/app/_manifests/tags` means one repository, `library` everything below it, and '' all.
 */
export class TagIndex {
  readonly #names: string[]

  constructor (names: Iterable<string>) { this.#names = [...new Set(names)].sort() }

  get size (): number { return this.#names.length }

  has (name: string): boolean { return this.#names[this.#firstFrom(name)] === name }

  add (name: string): void {
    const at = this.#firstFrom(name)
    if (this.#names[at] !== name) this.#names.splice(at, 0, name)
  }

  delete (name: string): void {
    const at = this.#firstFrom(name)
    if (this.#names[at] === name) this.#names.splice(at, 1)
  }

  /** One page of the names at or below `prefix`; slashes at its ends do not count. */
  page (prefix: string, { after, limit = Infinity }: PageQuery = {}): Page {
    const names: string[] = []
    for (const [from, to] of rangesOf(prefix)) {
      const start = Math.max(this.#firstFrom(from), after === undefined ? 0 : this.#firstFrom(after + NEXT))
      const end = to === undefined ? this.#names.length : this.#firstFrom(to)
      if (end - start > limit - names.length) {
        names.push(...this.#names.slice(start, start + limit - names.length))
        return { names, next: names.at(-1) ?? after }
      }
      for (let at = start; at < end; at++) names.push(this.#names[at] ?? '')
    }
    return { names, next: undefined }
  }

  /** The position of the first name that is not less than `text`. */
  #firstFrom (text: string): number {
    let low = 0
    let high = this.#names.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#names[middle] ?? '') < text) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** The character that makes the least text greater than the one before it. */
const NEXT = '\0'
/** A tag's place below its repository in the tree of the backends. */
const TAGS_FOLDER = /(^|\/)_manifests(\/tags)?$/

/** The half-open ranges of names that a prefix covers, in order: '/' and ':' are followed by '0' and ';'. */
function rangesOf (prefix: string): Array<[from: string, to: string | undefined]> {
  const path = prefix.replace(/^\/+|\/+$/g, '')
  if (path === '') return [['', undefined]]
  const repository = path.replace(TAGS_FOLDER, '')
  const own: [string, string] = [`${repository}:`, `${repository};`]
  return repository === path ? [[`${path}/`, `${path}0`], own] : [own]
}
