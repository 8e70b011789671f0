import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type Test } from 'tap'

export interface CommandEnd {
  /** The exit code, or the name of the signal. */
  readonly code: number | string
  /** Standard output and error, line by line as they came. */
  readonly text: string
}

/** A program that runs beside a test; killed at the test's end if it still does. */
export class Command {
  readonly #lines: string[] = []
  readonly #child: ChildProcess
  readonly #end: Promise<number | string>
  #wake: () => void = () => {}
  #isEnded = false

  constructor (t: Test, program: string, args: readonly string[], options: { env?: NodeJS.ProcessEnv, cwd?: string } = {}) {
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on('line', line => {
        this.#lines.push(line)
        this.#wake()
      })
    }
    child.once('error', error => { this.#lines.push(error.message) })
    this.#end = once(child, 'close').then(([code, signal]: unknown[]) => {
      this.#isEnded = true
      this.#wake()
      return typeof code === 'number' ? code : String(signal)
    })
    t.teardown(async () => {
      child.kill('SIGKILL')
      await this.#end
    })
  }

  /** Runs a program to its end. */
  static async run (t: Test, program: string, args: readonly string[], options: { env?: NodeJS.ProcessEnv, cwd?: string } = {}): Promise<CommandEnd> {
    return await new Command(t, program, args, options).end()
  }

  get pid (): number { return this.#child.pid ?? 0 }

  get text (): string { return this.#lines.join('\n') }

  kill (signal: NodeJS.Signals): void { this.#child.kill(signal) }

  async end (): Promise<CommandEnd> { return { code: await this.#end, text: this.text } }

  /** Waits for a line, said already or yet to come. @throws Error with all that was said if the program ends without it */
  async says (pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      for (const line of this.#lines) {
        const match = pattern.exec(line)
        if (match !== null) return match
      }
      if (this.#isEnded) throw new Error(`it ended without a word of ${String(pattern)}:\n${this.text}`)
      await new Promise<void>(resolve => { this.#wake = resolve })
    }
  }
}
