import { setTimeout as sleep } from 'node:timers/promises'
import { type Prng } from '../../runtime/core/prng.js'
import { field, parseJson } from '../../runtime/core/json.js'
import { call } from '../support/http-call.js'
import { type Ledger } from './ledger.js'
import { type MemberProcess } from './member-process.js'

const HEAL_LIMIT_MS = 180_000

/** One thing that was done to the cluster, for the report. */
export interface Fault { readonly what: string, readonly role: string, readonly startedAt: number, endedAt: number }

/**
 * Does bad things to one process after the other. A disk is taken away only while every acknowledged blob is on another
 * one, since no cluster that keeps two copies survives more.
 */
export class Faults {
  readonly done: Fault[] = []

  constructor (readonly members: readonly MemberProcess[], readonly prng: Prng, readonly ledger: Ledger, readonly say: (line: string) => void) {}

  /** The next fault, from beginning to end. @throws Error if a member does not come back, or the cluster does not heal */
  async next (): Promise<void> {
    const { prng, members } = this
    const victim = members[prng.below(members.length)]
    if (victim === undefined) return
    const kind = prng.below(10)
    const pauseMs = 100 + prng.below(2_000)
    if (kind < 4) await this.#during(`kill -9 of ${victim.name}`, victim, async () => { await this.#restart(victim, 'SIGKILL', pauseMs) })
    else if (kind < 6) await this.#during(`SIGTERM to ${victim.name}`, victim, async () => { await this.#restart(victim, 'SIGTERM', pauseMs) })
    else if (kind < 9) await this.#during(`SIGSTOP of ${victim.name} for ${pauseMs + 500} ms`, victim, async () => { await this.#freeze(victim, pauseMs + 500) })
    else await this.#wipeOrigin(pauseMs)
    await this.settled()
    await sleep(prng.below(1_500))
  }

  /**
   * Resolves when nothing is owed to anybody: what was acknowledged while one was away may until then be on one disk only, and
   * a second fault is one too many. @throws Error if that takes more than three minutes
   */
  async settled (): Promise<void> {
    const limit = performance.now() + HEAL_LIMIT_MS
    for (let owed = await this.#owed(); owed > 0; owed = await this.#owed()) {
      if (performance.now() > limit) throw new Error(`NOT SETTLED: ${owed} copies are still owed`)
      await sleep(100)
    }
  }

  /** Resolves when every acknowledged blob is on at least two origins. @throws Error naming those that are not, after three minutes */
  async healed (): Promise<void> {
    const limit = performance.now() + HEAL_LIMIT_MS
    for (;;) {
      const missing = await this.#underReplicated()
      if (missing.length === 0) return
      if (performance.now() > limit) throw new Error(`NOT HEALED: ${missing.length} blobs are on fewer than two origins: ${missing.slice(0, 3).join(', ')}`)
      await sleep(200)
    }
  }

  async #restart (victim: MemberProcess, signal: 'SIGKILL' | 'SIGTERM', pauseMs: number): Promise<void> {
    const how = await victim.end(signal)
    if (signal === 'SIGTERM' && how !== 'exit code 0') this.ledger.problems.push(`${victim.name} answered SIGTERM with ${how}`)
    await sleep(pauseMs)
    victim.start()
    await victim.healthy()
  }

  async #freeze (victim: MemberProcess, ms: number): Promise<void> {
    victim.freeze()
    await sleep(ms)
    victim.thaw()
    await victim.healthy()
  }

  async #wipeOrigin (pauseMs: number): Promise<void> {
    const origins = this.members.filter(({ role }) => role === 'origin')
    const victim = origins[this.prng.below(origins.length)]
    if (victim === undefined) return
    await this.healed()
    await this.#during(`disk of ${victim.name} lost`, victim, async () => {
      await victim.end('SIGKILL')
      victim.wipe()
      await sleep(pauseMs)
      victim.start()
      await victim.healthy()
    })
    await this.healed()
  }

  async #during (what: string, { role }: MemberProcess, work: () => Promise<void>): Promise<void> {
    this.say(what)
    const fault: Fault = { what, role, startedAt: performance.now(), endedAt: Infinity }
    this.done.push(fault)
    await work()
    fault.endedAt = performance.now()
  }

  /** How many copies of blobs and tags somebody still has to give to somebody. */
  async #owed (): Promise<number> {
    const keepers = this.members.filter(({ role }) => role === 'origin' || role === 'build-index')
    const counts = await Promise.all(keepers.map(async ({ member }) => {
      const answer = await call(member.port, 'GET', '/x/tasks').catch(() => undefined)
      if (answer?.status !== 200) return 1
      const stats = Object.entries(field(parseJson(answer.body.toString(), 'tasks'), 'stats') ?? {})
      return stats.filter(([kind]) => kind === 'copy' || kind === 'tag-copy').reduce((sum, [, counts]) => sum + pendingIn(counts), 0)
    }))
    return counts.reduce((sum, count) => sum + count, 0)
  }

  async #underReplicated (): Promise<string[]> {
    const origins = this.members.filter(({ role }) => role === 'origin')
    const missing: string[] = []
    for (const digest of new Set(this.ledger.blobs())) {
      const path = `/internal/namespace/any/blobs/${digest}?local=true`
      const answers = await Promise.all(origins.map(async ({ member }) => await call(member.port, 'HEAD', path).catch(() => undefined)))
      if (answers.filter(answer => answer?.status === 200).length < 2) missing.push(digest)
    }
    return missing
  }
}

function pendingIn (counts: unknown): number {
  return ['waiting', 'running'].map(state => Number(field(counts, state) ?? 0)).reduce((sum, count) => sum + count, 0)
}
