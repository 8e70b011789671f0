import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { forEachLimited } from '../../runtime/core/limited.js'
import { type Prng, seededPrng } from '../../runtime/core/prng.js'
import { freePorts } from '../../runtime/up/ports.js'
import { Clients, type Operation } from './clients.js'
import { type Fault, Faults } from './faults.js'
import { Ledger } from './ledger.js'
import { leftoversIn } from './leftovers.js'
import { MemberProcess } from './member-process.js'
import { planCluster, PORT_COUNT } from './plan.js'

const WRITERS = 3
const READERS = 2
const READING_BACK = 6
const READ_TRIES = 5
/** Operations that fail although nothing but the roles that have a stand-in was disturbed. */
const STAND_IN_ROLES = new Set(['origin', 'tracker', 'build-index'])

export interface RunOptions {
  /** Of the schedules, one after the other on the same cluster. */
  readonly seeds: readonly number[]
  /** How long the faults of each go on; starting, healing and reading everything back come on top. */
  readonly seconds: number
  /** A folder of its own. */
  readonly dir: string
  readonly say: (line: string) => void
  /** Cut members off as well, by rules of iptables; takes root. Default no. */
  readonly canCutOff?: boolean
}

export interface RunReport {
  /** What was promised and not kept. */
  readonly problems: readonly string[]
  readonly faultCount: number
  readonly operationCount: number
  readonly acknowledgedTags: number
  /** Operations that failed while only members were disturbed for which others can stand in. */
  readonly unavailable: readonly string[]
  /** How long those took that went well under the same circumstances, by kind. */
  readonly times: readonly OperationTimes[]
  /** How long it took until every blob was on two origins, once all were back. */
  readonly healedMsMax: number
}

export interface OperationTimes {
  readonly kind: string
  readonly count: number
  readonly medianMs: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** Runs clients against a cluster to which bad things happen, lets it heal, and reads everything back that it acknowledged. */
export async function run ({ seeds, seconds, dir, say, canCutOff = false }: RunOptions): Promise<RunReport> {
  mkdirSync(dir, { recursive: true })
  const plan = planCluster(dir, await freePorts(PORT_COUNT))
  const members = plan.map(member => new MemberProcess(member, join(dir, `${member.name}.log`)))
  const portOf = (name: string): number => plan.find(member => member.name === name)?.port ?? 0
  const ledger = new Ledger()
  const clients = new Clients(ledger, [portOf('agent-1'), portOf('agent-2')], portOf('proxy'))
  const done: Fault[] = []
  let healedMsMax = 0
  try {
    for (const member of members) member.start()
    await Promise.all(members.map(async member => { await member.healthy() }))
    say(`${members.length} processes are up`)
    for (const seed of seeds) {
      const faults = new Faults(members, seededPrng(seed), ledger, say, canCutOff)
      await disturb(clients, faults, seed, seconds)
      done.push(...faults.done)
      say(`seed ${seed}: ${clients.operations.length} operations, ${faults.done.length} faults; ${ledger.acknowledgedCount} tags acknowledged`)
      const endedAt = performance.now()
      await faults.healed()
      const healedMs = Math.round(performance.now() - endedAt)
      say(`every blob is on two origins ${healedMs} ms after the last fault`)
      healedMsMax = Math.max(healedMsMax, healedMs)
    }
    const judged = clients.operations.slice()
    await readAllBack(clients, say)
    for (const { what, failure } of clients.operations.slice(judged.length)) if (failure !== undefined) say(`failed at last: ${what}: ${failure}`)
    await Promise.all(members.map(async member => { await member.end('SIGTERM') }))
    const leftovers = leftoversIn(plan)
    say(leftovers.length === 0 ? 'nothing was left over on any disk' : `${leftovers.length} leftovers`)
    ledger.problems.push(...leftovers.map(path => `LEFT OVER: ${path}`))
    return { ...report(ledger, done, judged), healedMsMax }
  } finally {
    clients.stop()
    await Promise.all(members.map(async member => {
      member.thaw()
      if (canCutOff) await member.reconnect().catch(() => {})
      await member.end('SIGKILL')
    }))
  }
}

/** Clients work and faults strike, for so long. */
async function disturb (clients: Clients, faults: Faults, seed: number, seconds: number): Promise<void> {
  const stop = new AbortController()
  clients.begin(seed)
  const work = [
    ...Array.from({ length: WRITERS }, async (_, i) => { await write(clients, i, seededPrng(seed + 100 + i), stop.signal) }),
    ...Array.from({ length: READERS }, async (_, i) => { await read(clients, seededPrng(seed + 200 + i), stop.signal) })
  ]
  try {
    const end = performance.now() + seconds * 1000
    await sleep(1_000)
    while (performance.now() < end) await faults.next()
    await faults.over()
  } finally {
    stop.abort()
    await Promise.all(work)
  }
}

/** Half of the pushes go to new tags, the others move one that is there. */
async function write (clients: Clients, writer: number, prng: Prng, signal: AbortSignal): Promise<void> {
  for (let i = 0; !signal.aborted; i++) {
    const tag = prng.below(2) === 0 ? `w${writer}-fixed-${clients.seed}-${i}` : `w${writer}-moving-${prng.below(3)}`
    await clients.push(tag, prng)
    await sleep(prng.below(150))
  }
}

async function read (clients: Clients, prng: Prng, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const tags = clients.ledger.tags()
    const tag = tags[prng.below(Math.max(1, tags.length))]
    const [port, who] = prng.below(3) === 0 ? [clients.proxyPort, 'proxy'] as const : [clients.agentPorts[prng.below(2)] ?? 0, 'agent'] as const
    const manifest = tag === undefined ? undefined : await clients.readTag(tag, port, who)
    const blobs = manifest === undefined ? [] : clients.ledger.blobsOf(manifest)
    const blob = blobs[prng.below(Math.max(1, blobs.length))]
    if (blob !== undefined) await clients.readBlob(blob, port, who)
    await sleep(prng.below(150))
  }
}

/** With nothing disturbed any more, everything has to be there, from the proxy and from every agent. */
async function readAllBack (clients: Clients, say: (line: string) => void): Promise<void> {
  const { ledger } = clients
  const places = [[clients.proxyPort, 'proxy'], ...clients.agentPorts.map((port, i) => [port, `agent-${i + 1}`])] as Array<[number, string]>
  await forEachLimited(ledger.tags(), READING_BACK, async tag => {
    for (const [port, who] of places) {
      const manifest = await persist(async () => await clients.readTag(tag, port, who))
      if (manifest === undefined) ledger.problems.push(`LOST: ${tag} cannot be read from ${who}`)
      for (const blob of manifest === undefined ? [] : ledger.blobsOf(manifest)) {
        const isRead = await persist(async () => await clients.readBlob(blob, port, who) ? true : undefined)
        if (isRead === undefined) ledger.problems.push(`LOST: ${blob} of ${tag} from ${who}`)
      }
    }
  })
  say('everything read back')
}

/** Several tries: the machine may have other things to do, and that is no loss. */
async function persist<T> (read: () => Promise<T | undefined>): Promise<T | undefined> {
  for (let tried = 1; ; tried++) {
    const found = await read()
    if (found !== undefined || tried === READ_TRIES) return found
    await sleep(1_000)
  }
}

function report (ledger: Ledger, faults: readonly Fault[], operations: readonly Operation[]): Omit<RunReport, 'healedMsMax'> {
  const judged = operations.filter(operation => isCovered(operation, faults))
  const good = judged.filter(({ failure }) => failure === undefined)
  return {
    problems: ledger.problems,
    faultCount: faults.length,
    operationCount: operations.length,
    acknowledgedTags: ledger.acknowledgedCount,
    unavailable: judged.filter(({ failure }) => failure !== undefined)
      .map(({ kind, what, failure, tookMs }) => `${kind} ${what} (${Math.round(tookMs)} ms): ${failure ?? ''}`),
    times: [...new Set(good.map(({ kind }) => kind))].sort().map(kind => timesOf(kind, good.filter(operation => operation.kind === kind)))
  }
}

/** Whether others could stand in for whoever was disturbed meanwhile: at most one member of each role that has several. */
function isCovered ({ startedAt, tookMs }: Operation, faults: readonly Fault[]): boolean {
  const disturbed = faults.filter(fault => startedAt <= fault.endedAt && startedAt + tookMs >= fault.startedAt)
  const members = new Map(disturbed.map(({ member, role }) => [member, role]))
  return [...members.values()].every(role => STAND_IN_ROLES.has(role)) && new Set(members.values()).size === members.size
}

function timesOf (kind: string, operations: readonly Operation[]): OperationTimes {
  const sorted = operations.map(({ tookMs }) => tookMs).sort((a, b) => a - b)
  const at = (part: number): number => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0)
  return { kind, count: sorted.length, medianMs: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
}
