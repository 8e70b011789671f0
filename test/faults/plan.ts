import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { type RoleName } from '../../runtime/cli/role-names.js'

/*
 * A cluster in which no role but the agents and the proxies is alone, as processes on loopback. Settings are those of
 * operators, except that health is looked at more often, so that a short run sees many changes.
 */

const HOST = '127.0.0.1'
const ORIGINS = 3
const TRACKERS = 2
const INDEXES = 2
const AGENTS = 2

/** One process of the cluster. */
export interface Member {
  readonly name: string
  readonly role: RoleName
  /** Where it is asked for its health, and clients talk to it. */
  readonly port: number
  readonly args: readonly string[]
  /** All that it keeps. */
  readonly dataDir: string
}

/** Ports that a plan takes. */
export const PORT_COUNT = 2 * ORIGINS + TRACKERS + INDEXES + 2 + 3 * AGENTS

/** Writes the configurations below `dir` and says how each process is started. */
export function planCluster (dir: string, ports: readonly number[]): Member[] {
  const rest = [...ports]
  const take = (count: number): number[] => rest.splice(0, count)
  const at = (taken: readonly number[]): string[] => taken.map(port => `${HOST}:${port}`)
  const [originPorts, peerPorts, trackerPorts, indexPorts] = [take(ORIGINS), take(ORIGINS), take(TRACKERS), take(INDEXES)]
  const healthcheck = { filter: { fails: 2, passes: 1, timeout: '1s' }, monitor: { interval: '1s' } }
  const origins = { hosts: { static: at(originPorts) }, healthcheck }
  const indexes = { hosts: { static: at(indexPorts) }, healthcheck }
  const write = (name: string, role: RoleName, port: number, flags: ReadonlyArray<string | number>, content: object): Member => {
    const dataDir = join(dir, name)
    mkdirSync(dataDir, { recursive: true })
    const file = join(dir, `${name}.yaml`)
    writeFileSync(file, stringify(content))
    return { name, role, port, dataDir, args: [role, '--config', file, '--cluster', 'faults', ...flags.map(String)] }
  }
  const folders = (name: string, incoming: 'upload' | 'download'): object =>
    ({ [`${incoming}_dir`]: join(dir, name, incoming), cache_dir: join(dir, name, 'cache') })
  const members: Member[] = []
  originPorts.forEach((port, i) => {
    const name = `origin-${i + 1}`
    members.push(write(name, 'origin', port, ['--peer-ip', HOST, '--peer-port', peerPorts[i] ?? 0, '--blobserver-hostname', HOST, '--blobserver-port', port], {
      cluster: { static: at(originPorts) },
      healthcheck: healthcheck.filter,
      hashring: { max_replica: 2, refresh_interval: '1s' },
      castore: folders(name, 'upload'),
      metainfogen: { piece_lengths: { 0: '256KB' } },
      peer_id_factory: 'addr_hash'
    }))
  })
  trackerPorts.forEach((port, i) => {
    members.push(write(`tracker-${i + 1}`, 'tracker', port, ['--port', port], {
      origin: origins, trackerserver: { announce_interval: '1s' }, peerhandoutpolicy: { priority: 'completeness' }
    }))
  })
  indexPorts.forEach((port, i) => {
    const name = `build-index-${i + 1}`
    members.push(write(name, 'build-index', port, ['--port', port], {
      store: folders(name, 'upload'),
      tag_types: [{ namespace: '.*', type: 'docker' }],
      origin: origins,
      cluster: indexes,
      tag_replication: { retry_interval: '1s', retry_interval_max: '2s' }
    }))
  })
  const [proxyPort = 0, serverPort = 0] = take(2)
  members.push(write('proxy', 'proxy', proxyPort, ['--port', proxyPort, '--server-port', serverPort], {
    castore: folders('proxy', 'upload'), origin: origins, build_index: indexes
  }))
  for (let i = 1; i <= AGENTS; i++) {
    const name = `agent-${i}`
    const [registryPort = 0, peerPort = 0, port = 0] = take(3)
    const flags = ['--peer-ip', HOST, '--peer-port', peerPort, '--agent-server-port', port, '--agent-registry-port', registryPort]
    members.push({
      ...write(name, 'agent', registryPort, flags, {
        store: folders(name, 'download'),
        tracker: { hosts: { static: at(trackerPorts) }, healthcheck: { fails: 1, fail_timeout: '5s' } },
        build_index: { hosts: { static: at(indexPorts) }, healthcheck: { fails: 1, fail_timeout: '5s' } },
        peer_id_factory: 'addr_hash'
      })
    })
  }
  return members
}
