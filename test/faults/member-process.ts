import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { closeSync, openSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { call } from '../support/http-call.js'
import { type Member } from './plan.js'

const run = promisify(execFile)
const MAIN = fileURLToPath(new URL('../../runtime/main.js', import.meta.url))
const HEALTHY_LIMIT_MS = 180_000
const POLL_MS = 50

/** One member of the cluster while the faults do with it what they like. */
export class MemberProcess {
  #child: ChildProcess | undefined
  #exited: Promise<string> = Promise.resolve('never started')

  constructor (readonly member: Member, readonly logFile: string) {}

  get name (): string { return this.member.name }
  get role (): string { return this.member.role }

  start (): void {
    const log = openSync(this.logFile, 'a')
    const child = spawn(process.execPath, [MAIN, ...this.member.args], { stdio: ['ignore', log, log, 'ipc'] })
    closeSync(log)
    this.#child = child
    this.#exited = new Promise(resolve => { child.once('exit', (code, signal) => { resolve(signal ?? `exit code ${code}`) }) })
  }

  /** Resolves when it answers. @throws Error if it does not within three minutes, or ends by itself */
  async healthy (): Promise<void> {
    const limit = performance.now() + HEALTHY_LIMIT_MS
    const path = this.role === 'proxy' || this.role === 'agent' ? '/v2/' : '/health'
    while (performance.now() < limit) {
      if (this.#child?.exitCode !== null) throw new Error(`${this.name} ended by itself, see ${this.logFile}`)
      const answer = await call(this.member.port, 'GET', path, { signal: AbortSignal.timeout(1000) }).catch(() => undefined)
      if (answer?.status === 200) return
      await sleep(POLL_MS)
    }
    throw new Error(`${this.name} is not healthy after ${HEALTHY_LIMIT_MS} ms`)
  }

  /** Sends a signal and, where it ends the process, waits for that. Returns how it ended. */
  async end (signal: 'SIGKILL' | 'SIGTERM'): Promise<string> {
    this.#child?.kill(signal)
    return await this.#exited
  }

  freeze (): void { this.#child?.kill('SIGSTOP') }
  thaw (): void { this.#child?.kill('SIGCONT') }

  /** Nothing reaches it any more, over old connections or new ones, and nobody is told. What it sends itself goes out. */
  async cutOff (): Promise<void> { await this.#filter('-I') }

  async reconnect (): Promise<void> { await this.#filter('-D') }

  /** Takes everything away that it keeps; only while it does not run. */
  wipe (): void { rmSync(this.member.dataDir, { recursive: true, force: true }) }

  async #filter (change: '-I' | '-D'): Promise<void> {
    await run('iptables', ['-w', change, 'INPUT', '-i', 'lo', '-p', 'tcp', '--dport', String(this.member.port), '-j', 'DROP'])
  }
}
