import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { AppError, messageOf } from '../core/errors.js'

/*
 * Which processes a local system has, and where they listen and keep their data:
 *
 *   <data>/layout.json          this plan, so that the next start finds the same cluster
 *   <data>/config/<name>.yaml   one file for each process
 *   <data>/logs/<name>.log
 *   <data>/<name>/              blobs, tags, unfinished transfers
 */

const VERSION = 1
const FIRST_PORT = 15_000
export const ORIGINS_MAX = 9
export const AGENTS_MAX = 9

const port = z.int().min(1).max(65_535)
const plan = z.object({
  proxy: z.object({ port, serverPort: port }),
  origins: z.array(z.object({ peerPort: port, port })).min(1).max(ORIGINS_MAX),
  tracker: z.object({ port }),
  buildIndex: z.object({ port }),
  agents: z.array(z.object({ registryPort: port, peerPort: port, serverPort: port })).min(1).max(AGENTS_MAX)
})
const record = z.object({ version: z.number(), plan: z.unknown() })

/** The ports of every process of a local system; the first origin is `origin-1`, and so on. */
export type SystemPlan = z.infer<typeof plan>

/**
 * The development ports (http-api specification 1.1), all moved by `portOffset`. Further origins are 10 apart, further
 * agents 1000.
 */
export function planPorts ({ origins, agents, portOffset }: { origins: number, agents: number, portOffset: number }): SystemPlan {
  const at = (documented: number): number => documented + portOffset
  return {
    proxy: { port: at(FIRST_PORT), serverPort: at(FIRST_PORT + 5) },
    origins: range(origins).map(i => ({ peerPort: at(FIRST_PORT + 1 + 10 * i), port: at(FIRST_PORT + 2 + 10 * i) })),
    tracker: { port: at(FIRST_PORT + 3) },
    buildIndex: { port: at(FIRST_PORT + 4) },
    agents: range(agents).map(i => {
      const first = FIRST_PORT + 1000 * (i + 1)
      return { registryPort: at(first), peerPort: at(first + 1), serverPort: at(first + 2) }
    })
  }
}

/** The same processes on other ports, taken from `ports` in turn. */
export function replacePorts (planned: SystemPlan, ports: readonly number[]): SystemPlan {
  let next = 0
  const take = (): number => ports[next++] ?? 0
  return {
    proxy: { port: take(), serverPort: take() },
    origins: planned.origins.map(() => ({ peerPort: take(), port: take() })),
    tracker: { port: take() },
    buildIndex: { port: take() },
    agents: planned.agents.map(() => ({ registryPort: take(), peerPort: take(), serverPort: take() }))
  }
}

/** Every port with what it is for. */
export function portsOf ({ proxy, origins, tracker, buildIndex, agents }: SystemPlan): Array<{ readonly port: number, readonly use: string }> {
  return [
    { port: proxy.port, use: 'proxy registry' },
    { port: proxy.serverPort, use: 'proxy server' },
    ...origins.flatMap((origin, i) => [
      { port: origin.peerPort, use: `origin-${i + 1} peers` },
      { port: origin.port, use: `origin-${i + 1} HTTP` }
    ]),
    { port: tracker.port, use: 'tracker' },
    { port: buildIndex.port, use: 'build-index' },
    ...agents.flatMap((agent, i) => [
      { port: agent.registryPort, use: `agent-${i + 1} registry` },
      { port: agent.peerPort, use: `agent-${i + 1} peers` },
      { port: agent.serverPort, use: `agent-${i + 1} server` }
    ])
  ]
}

/**
 * The plan of the system whose data is in this folder; undefined if the folder is new or empty.
 * @throws AppError CONFIG_INVALID if something else is in it, or what another version has put there
 */
export function readPlan (dataDir: string): SystemPlan | undefined {
  const file = join(dataDir, 'layout.json')
  if (!existsSync(file)) {
    if (!existsSync(dataDir) || readdirSync(dataDir).length === 0) return undefined
    throw new AppError('CONFIG_INVALID', `${dataDir} is not empty and was not made by "shoal up". Name another folder with --data`)
  }
  const read = record.safeParse(parse(file))
  if (!read.success) throw new AppError('CONFIG_INVALID', `${file} is damaged. Restore it, or name another folder with --data`)
  if (read.data.version !== VERSION) {
    throw new AppError('CONFIG_INVALID',
      `${dataDir} has layout ${read.data.version}, made by another version of shoal; this one knows layout ${VERSION}. Name another folder with --data`)
  }
  const known = plan.safeParse(read.data.plan)
  if (!known.success) throw new AppError('CONFIG_INVALID', `${file} is damaged. Restore it, or name another folder with --data`)
  return known.data
}

export function writePlan (dataDir: string, planned: SystemPlan): void {
  mkdirSync(dataDir, { recursive: true })
  writeFileSync(join(dataDir, 'layout.json'), `${JSON.stringify({ version: VERSION, plan: planned }, null, 2)}\n`)
}

/**
 * Blobs belong to origins by their addresses, so a folder can only go on with the origins that it was made with.
 * @throws AppError CONFIG_INVALID if `wanted` has others than `recorded`
 */
export function checkSameOrigins (recorded: SystemPlan, wanted: SystemPlan, dataDir: string): void {
  const ports = ({ origins }: SystemPlan): string => origins.map(origin => origin.port).join(', ')
  if (ports(recorded) === ports(wanted)) return
  const offset = (recorded.origins[0]?.port ?? 0) - FIRST_PORT - 2
  throw new AppError('CONFIG_INVALID', `${dataDir} was made with origins on the ports ${ports(recorded)}, and now they would be ${ports(wanted)}: ` +
    `their blobs would not be found. Use "--origins ${recorded.origins.length} --port-offset ${offset}", or another folder with --data`)
}

function parse (file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    throw new AppError('CONFIG_INVALID', `cannot read ${file}: ${messageOf(cause)}`, { cause })
  }
}

function range (count: number): number[] { return [...Array(count).keys()] }
