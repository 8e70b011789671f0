import { type BlobContent } from '../../net/client/clients.js'
import { type Sleep } from '../../net/client/upstream.js'
import { type TaskGroup } from '../cluster/task-group.js'
import { type DurabilityConfig } from '../config/types.js'
import { type Digest } from '../core/digest.js'
import { type Prng, shuffle } from '../core/prng.js'
import { type Logger } from '../observe/log.js'
import { Copying, type CopyOrder } from './copying.js'
import { type OwedCopies } from './owed-copies.js'
import { type Placement, type Replica } from './ports.js'

/** How long a commit that has enough copies still waits for the other owners. */
const STRAGGLER_MS = 1_000

export interface ReplicationOptions {
  readonly placement: Placement
  readonly replica: (address: string) => Replica
  /** Whether a member that counts as healthy did not answer a moment ago. */
  readonly isAway?: (address: string) => boolean
  /** The bytes of a blob that is in our cache. @throws AppError BLOB_UNKNOWN */
  readonly content: (digest: Digest) => Promise<BlobContent>
  /** Distance between the write-backs of two replicas (`duplicate_write_back_stagger`). */
  readonly staggerMs: number
  readonly copiesMin: DurabilityConfig['copiesMin']
  /** Remembers, beyond the end of the process, which owners have to get a copy yet. */
  readonly owed: Pick<OwedCopies, 'owe'>
  readonly tasks: TaskGroup
  readonly sleep: Sleep
  readonly prng: Prng
  readonly log: Logger
}

/**
 * Gives a freshly committed blob to its other owners before the commit is answered (cluster specification 6.3, B01).
 *
 *     all healthy owners at once ---> enough copies: a moment of patience with the others ---+
 *          |  failed or silent                                                               |
 *          v                                                                                 v
 *     next healthy member in the ring takes one more ---> nobody left -------> what is owed is put on record: answered
 *
 * With too few healthy members it does not fail: the copies that can be had are made, the others are owed and made as soon
 * as their owners are there.
 */
export class Replication {
  readonly #running = new Map<Digest, Promise<void>>()
  readonly #copies = new Map<string, Copying>()

  constructor (readonly options: ReplicationOptions) {}

  /**
   * Resolves when the blob has as many copies as can be had now, and what is missing is on record. Commits of one blob at
   * the same time share the work. @throws AppError if it could not be put on record
   */
  async replicate (namespace: string, digest: Digest): Promise<void> {
    const running = this.#running.get(digest)
    if (running !== undefined) return await running
    const work = this.#replicate(namespace, digest).finally(() => { this.#running.delete(digest) })
    this.#running.set(digest, work)
    await work
  }

  /** Whether a copy for this owner is on its way. */
  isCopying (owner: string, digest: Digest): boolean { return this.#copies.has(keyOf(owner, digest)) }

  async #replicate (namespace: string, digest: Digest): Promise<void> {
    const { placement, isAway, staggerMs, copiesMin, owed, prng, log } = this.options
    const owners = placement.owners(digest)
    const others = owners.filter(owner => owner !== placement.self)
    if (others.length === 0) return
    const content = await this.options.content(digest)
    const isHealthy = (member: string): boolean => placement.healthy.includes(member) && isAway?.(member) !== true
    const standIns = placement.ranking(digest).filter(member => member !== placement.self && !owners.includes(member) && isHealthy(member))
    // Health is known with a delay: before a copy is missing, even those are asked who seem to be down.
    const spares = [...standIns, ...others.filter(owner => !isHealthy(owner))]
    const orderFor = (address: string, i: number): CopyOrder => ({ address, namespace, digest, content, delayMs: (i + 1) * staggerMs })
    const orders = shuffle([...others], prng).map(orderFor)
    const wanted = Math.min(copiesMin, owners.length) - 1
    const made = await this.#copyToSome(orders.filter(({ address }) => isHealthy(address)), spares.map(orderFor), wanted)
    const missing = orders.filter(({ address }) => !made.has(address))
    if (missing.length > 0) await owed.owe(missing.map(({ address, delayMs }) => ({ owner: address, namespace, digest, delayMs })))
    if (made.size < wanted) log.warn({ digest, copies: made.size + 1, wanted: wanted + 1 }, 'blob acknowledged with too few copies')
  }

  /** Copies to all of `orders`, and to as many of the `spares` as it takes to have `wanted` copies. Returns who has one by then. */
  async #copyToSome (orders: readonly CopyOrder[], spares: readonly CopyOrder[], wanted: number): Promise<Set<string>> {
    const copies: Copying[] = []
    const rest = [...spares]
    const done = new AbortController()
    let change: () => void = () => {}
    let patience: Promise<void> | undefined
    let isPatient = true
    const start = (order: CopyOrder): void => { copies.push(this.#start(order, () => { change() })) }
    for (const order of orders) start(order)
    try {
      for (;;) {
        const changed = new Promise<void>(resolve => { change = resolve })
        const count = (state: Copying['state']): number => copies.filter(copy => copy.state === state).length
        const going = count('going')
        if (going === 0 && (count('made') >= wanted || rest.length === 0)) break
        if (count('made') >= wanted) {
          if (!isPatient) break
          patience ??= this.options.sleep(STRAGGLER_MS, done.signal).then(() => {
            isPatient = false
            change()
          }, () => {})
        } else if (count('made') + going < wanted) {
          const next = rest.shift()
          if (next !== undefined) {
            start(next)
            continue
          }
        }
        await changed
      }
    } finally {
      done.abort()
      await patience
    }
    return new Set(copies.filter(copy => copy.state === 'made').map(copy => copy.order.address))
  }

  #start (order: CopyOrder, onChange: () => void): Copying {
    const key = keyOf(order.address, order.digest)
    const copy: Copying = new Copying(order, this.options, () => {
      // Also called before the copy is in the map: one that cannot even begin.
      if (this.#copies.get(key)?.isOver === true) this.#copies.delete(key)
      onChange()
    })
    if (!copy.isOver) this.#copies.set(key, copy)
    return copy
  }
}

function keyOf (owner: string, digest: Digest): string { return `${owner} ${digest}` }
