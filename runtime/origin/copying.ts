import { type BlobContent } from '../../net/client/clients.js'
import { type Sleep } from '../../net/client/upstream.js'
import { type TaskGroup } from '../cluster/task-group.js'
import { type Digest } from '../core/digest.js'
import { messageOf } from '../core/errors.js'
import { type Logger } from '../observe/log.js'
import { type Replica } from './ports.js'

/** An origin that takes no byte for so long is not waited for any more. */
const SILENCE_MS = 1_000
/** The least rate at which an origin may be expected to write what it got to its disk, in bytes a millisecond. */
const COMMIT_BYTES_PER_MS = 20_000

export interface CopyOptions {
  readonly replica: (address: string) => Replica
  readonly tasks: TaskGroup
  readonly sleep: Sleep
  readonly log: Logger
}

export interface CopyOrder {
  readonly address: string
  readonly namespace: string
  readonly digest: Digest
  readonly content: BlobContent
  /** How much later than we the other origin writes the blob back. */
  readonly delayMs: number
}

/**
 *   going <--> silent        no byte was taken for a while; it may go on nevertheless
 *     |          |
 *     +----+-----+
 *        made / failed
 */
export type CopyState = 'going' | 'silent' | 'made' | 'failed'

/** One copy of a blob on its way to another origin. It goes on in the background, whether somebody waits for it or not. */
export class Copying {
  #state: CopyState = 'going'
  #progress = 0
  #sentBytes = 0

  /** @param onChange - called after each change of state */
  constructor (readonly order: CopyOrder, readonly options: CopyOptions, readonly onChange: () => void) {
    const { tasks } = options
    tasks.run('copy', async signal => { await this.#copy(signal) })
    if (tasks.signal.aborted) this.#enter('failed')
  }

  get state (): CopyState { return this.#state }
  get isOver (): boolean { return this.#state === 'made' || this.#state === 'failed' }

  async #copy (signal: AbortSignal): Promise<void> {
    const { replica, log } = this.options
    const { address, namespace, digest, delayMs } = this.order
    const over = new AbortController()
    this.options.tasks.run('watch copy', async () => { await this.#watch(AbortSignal.any([signal, over.signal])) })
    try {
      await replica(address).uploadDuplicate(namespace, digest, this.#watched(), delayMs, { signal })
      this.#enter('made')
    } catch (error) {
      log.warn({ digest, owner: address, error: messageOf(error) }, 'copy could not be made')
      this.#enter('failed')
    } finally {
      over.abort()
    }
  }

  /** The content, noting that the other side takes it. */
  #watched (): BlobContent {
    const { content } = this.order
    const note = (sentBytes: number): void => {
      this.#progress++
      this.#sentBytes += sentBytes
      if (this.#state === 'silent') this.#enter('going')
    }
    return {
      sizeBytes: content.sizeBytes,
      read: async function * (offset, lengthBytes) {
        note(0)
        for await (const chunk of content.read(offset, lengthBytes)) {
          yield chunk
          note(chunk.length)
        }
      }
    }
  }

  async #watch (signal: AbortSignal): Promise<void> {
    const { sizeBytes } = this.order.content
    while (!signal.aborted) {
      const before = this.#progress
      // What was sent has to be synced by the other side before it answers, and nothing tells how far that is.
      const isSent = sizeBytes > 0 && this.#sentBytes >= sizeBytes
      await this.options.sleep(SILENCE_MS + (isSent ? sizeBytes / COMMIT_BYTES_PER_MS : 0), signal).catch(() => {})
      if (!signal.aborted && this.#progress === before && this.#state === 'going') this.#enter('silent')
    }
  }

  #enter (state: CopyState): void {
    this.#state = state
    this.onChange()
  }
}
