import { setTimeout as sleep } from 'node:timers/promises'
import { type Prng } from '../../runtime/core/prng.js'
import { field, parseJson } from '../../runtime/core/json.js'
import { call } from '../support/http-call.js'
import { type Ledger } from './ledger.js'
import { type MemberProcess } from './member-process.js'

const HEAL_LIMIT_MS = 180_000
/** Members that are disturbed at the same time, at most. */
const AT_ONCE_MAX = 2

/** One thing that was done to the cluster, for the report. */
export interface Fault { readonly what: string, readonly member: string, readonly role: string, readonly startedAt: number, endedAt: number }

/**
 * Does bad things to the processes of a cluster, one after the other and two at a time, whether what the last one caused is
 * made good or not. A disk is taken away only while everything acknowledged is on another one, since no cluster that keeps
 * two copies survives more; the next fault may come before the loss is made good.
 */
export class Faults {
  readonly done: Fault[] = []
  readonly #running = new Map<string, Promise<void>>()

  /** @param canCutOff - whether members may be cut off from all others, which takes root and iptables */
  constructor (
    readonly members: readonly MemberProcess[], readonly prng: Prng, readonly ledger: Ledger,
    readonly say: (line: string) => void, readonly canCutOff: boolean
  ) {}

  /**
   * Begins the next fault and resolves when it is time for another one.
   * @throws Error if a member does not come back, or the cluster does not heal
   */
  async next (): Promise<void> {
    const { prng, members } = this
    const victim = members[prng.below(members.length)]
    const [kind, pauseMs, isAlone, gapMs] = [prng.below(12), 100 + prng.below(2_000), prng.below(3) > 0, prng.below(1_500)]
    if (victim === undefined) return
    if (kind === 11) {
      await this.over()
      await this.#wipe(pauseMs)
    } else {
      await this.#running.get(victim.name)
      while (this.#running.size >= AT_ONCE_MAX) await Promise.race(this.#running.values())
      const fault = this.#strike(victim, kind, pauseMs)
      this.#running.set(victim.name, fault)
      // Whoever waits for it learns of a failure.
      fault.then(() => { this.#running.delete(victim.name) }, () => {})
      if (isAlone) await this.over()
    }
    await sleep(gapMs)
  }

  /** Resolves when nobody is disturbed any more. */
  async over (): Promise<void> { await Promise.all(this.#running.values()) }

  async #strike (victim: MemberProcess, kind: number, pauseMs: number): Promise<void> {
    if (kind < 4) await this.#during(`kill -9 of ${victim.name}`, victim, async () => { await this.#restart(victim, 'SIGKILL', pauseMs) })
    else if (kind < 6) await this.#during(`SIGTERM to ${victim.name}`, victim, async () => { await this.#restart(victim, 'SIGTERM', pauseMs) })
    else if (kind < 9 || !this.canCutOff) await this.#during(`SIGSTOP of ${victim.name} for ${pauseMs + 500} ms`, victim, async () => { await this.#freeze(victim, pauseMs + 500) })
    else await this.#during(`${victim.name} cut off for ${pauseMs + 500} ms`, victim, async () => { await this.#cutOff(victim, pauseMs + 500) })
  }

  /** Resolves when nothing is owed to anybody. @throws Error if that takes more than three minutes */
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

  async #cutOff (victim: MemberProcess, ms: number): Promise<void> {
    await victim.cutOff()
    try {
      await sleep(ms)
    } finally {
      await victim.reconnect()
    }
    await victim.healthy()
  }

  /** An origin or a build-index loses its disk. */
  async #wipe (pauseMs: number): Promise<void> {
    const keepers = this.members.filter(({ role }) => role === 'origin' || role === 'build-index')
    const victim = keepers[this.prng.below(keepers.length)]
    if (victim === undefined) return
    await this.settled()
    await this.healed()
    await this.#during(`disk of ${victim.name} lost`, victim, async () => {
      await victim.end('SIGKILL')
      victim.wipe()
      await sleep(pauseMs)
      victim.start()
      await victim.healthy()
    })
  }

  async #during (what: string, { name, role }: MemberProcess, work: () => Promise<void>): Promise<void> {
    this.say(what)
    const fault: Fault = { what, member: name, role, startedAt: performance.now(), endedAt: Infinity }
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
