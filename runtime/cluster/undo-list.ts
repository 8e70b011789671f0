import { messageOf } from '../core/errors.js'
import { type Logger } from '../observe/log.js'

/** What a component has started, so that stopping undoes it in reverse, also after a start that failed midway. */
export class UndoList {
  readonly #undos: Array<{ readonly name: string, readonly undo: () => Promise<unknown> }> = []
  #done: Promise<void> | undefined

  constructor (readonly log: Logger) {}

  add (name: string, undo: () => Promise<unknown>): void { this.#undos.push({ name, undo }) }

  /** What cannot be undone is logged and does not keep the rest from being undone. May be called twice. */
  async run (): Promise<void> {
    this.#done ??= this.#run()
    await this.#done
  }

  async #run (): Promise<void> {
    for (const { name, undo } of this.#undos.toReversed()) {
      await undo().catch((error: unknown) => { this.log.error({ part: name, error: messageOf(error) }, 'part did not stop') })
    }
  }
}
