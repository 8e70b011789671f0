import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, renameSync, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../core/errors.js'

/** A larger log is put aside before the next start. */
const LOG_BYTES_MAX = 64 * 1024 * 1024
const HEALTH_POLL_MS = 100

export interface ProcessSpec {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  /** Gets standard output and error, appended. */
  readonly logFile: string
  /** Started once every process of the lower stages was healthy; 0 unless given. */
  readonly stage?: number
  /** Asked until it says true, each time the process was started. */
  isHealthy (signal: AbortSignal): Promise<boolean>
}

/** How a process is kept alive. */
export interface RestartPolicy {
  /** Wait before the start that follows `failures` ends in a row, 1 or more. */
  backoffMs (failures: number): number
  /** A process that was healthy and lived this long starts counting anew. */
  readonly stableMs: number
  /** So many ends in a row before it was ever healthy, and it is given up. */
  readonly attemptsMax: number
  /** From asking a process to stop to killing it. */
  readonly stopMs: number
}

export const DEFAULT_POLICY: RestartPolicy = {
  backoffMs: failures => Math.min(500 * 2 ** (failures - 1), 30_000),
  stableMs: 60_000,
  attemptsMax: 3,
  stopMs: 12_000
}

export type ProcessEvent =
  | { readonly type: 'healthy', readonly name: string, readonly isRestart: boolean }
  /** `how`: `exit code 1`, `signal SIGKILL`, or why it could not be started. */
  | { readonly type: 'ended', readonly name: string, readonly how: string, readonly restartInMs: number }
  | { readonly type: 'gaveUp', readonly name: string, readonly how: string }

/*
 *  start --> running --(isHealthy)--> healthy
 *              ^  |                     |
 *              |  +------ ended --------+
 *              |           |        \
 *              +- back-off-+         gave up (never healthy, attemptsMax ends)
 */

/** One child process that is started again whenever it ends, until it is stopped. */
export class SupervisedProcess {
  readonly #abort = new AbortController()
  #loop: Promise<void> = Promise.resolve()
  #child: ChildProcess | undefined
  #wasHealthy = false

  constructor (readonly spec: ProcessSpec, readonly policy: RestartPolicy, readonly onEvent: (event: ProcessEvent) => void) {}

  /** Of the running child; undefined between two starts. */
  get pid (): number | undefined { return this.#child?.pid }

  start (): void { this.#loop = this.#run(this.#abort.signal) }

  /** Asks the process to stop, kills it if it does not, and waits until it is gone. May be called twice. */
  async stop (): Promise<void> {
    this.#abort.abort()
    const child = this.#child
    if (child !== undefined) {
      child.kill('SIGTERM')
      const isGone = await Promise.race([this.#loop.then(() => true), sleep(this.policy.stopMs, false, { ref: false })])
      if (!isGone) child.kill('SIGKILL')
    }
    await this.#loop
  }

  async #run (signal: AbortSignal): Promise<void> {
    const { name } = this.spec
    for (let failures = 0; !signal.aborted;) {
      const startedAt = performance.now()
      const { how, isHealthy } = await this.#runOnce(signal)
      if (signal.aborted) return
      failures = isHealthy && performance.now() - startedAt >= this.policy.stableMs ? 1 : failures + 1
      if (!this.#wasHealthy && failures >= this.policy.attemptsMax) return this.onEvent({ type: 'gaveUp', name, how })
      const restartInMs = this.policy.backoffMs(failures)
      this.onEvent({ type: 'ended', name, how, restartInMs })
      await sleep(restartInMs, undefined, { signal }).catch(() => {})
    }
  }

  /** From the start of a child to its end. */
  async #runOnce (signal: AbortSignal): Promise<{ how: string, isHealthy: boolean }> {
    const ended = new AbortController()
    const exited = this.#spawn()
    const watched = this.#watchHealth(AbortSignal.any([signal, ended.signal]))
    const how = await exited
    this.#child = undefined
    ended.abort()
    return { how, isHealthy: await watched }
  }

  /** Resolves with how the child ended. */
  async #spawn (): Promise<string> {
    const { command, args, logFile } = this.spec
    return await new Promise<string>(resolve => {
      try {
        rotate(logFile)
        const log = openSync(logFile, 'a')
        // A group of its own, so that Ctrl-C reaches the child through us alone; a channel, so that it notices our end.
        const child = spawn(command, args, { stdio: ['ignore', log, log, 'ipc'], detached: true })
        closeSync(log)
        this.#child = child
        child.once('error', error => { if (child.pid === undefined) resolve(messageOf(error)) })
        child.once('exit', (code, killedBy) => { resolve(killedBy === null ? `exit code ${code ?? 'unknown'}` : `signal ${killedBy}`) })
      } catch (error) {
        resolve(messageOf(error))
      }
    })
  }

  /** True once the child is healthy, false if the signal comes first. */
  async #watchHealth (signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      const isHealthy = await this.spec.isHealthy(signal).catch(() => false)
      if (isHealthy && !signal.aborted) {
        this.onEvent({ type: 'healthy', name: this.spec.name, isRestart: this.#wasHealthy })
        this.#wasHealthy = true
        return true
      }
      await sleep(HEALTH_POLL_MS, undefined, { signal }).catch(() => {})
    }
    return false
  }
}

function rotate (logFile: string): void {
  const size = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0
  if (size > LOG_BYTES_MAX) renameSync(logFile, `${logFile}.old`)
}
