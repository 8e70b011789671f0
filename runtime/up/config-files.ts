import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { type RoleName } from '../cli/role-names.js'
import { type SystemPlan } from './layout.js'

const HOST = '127.0.0.1'
/** Owners of each blob, if there are that many origins. */
const REPLICAS = 2
const CLUSTER_FLAGS = ['--cluster', 'local']

/** One process of a local system. */
export interface Member {
  readonly name: string
  readonly role: RoleName
  readonly configFile: string
  /** Kraken's own flags. */
  readonly flags: readonly string[]
  readonly healthUrl: string
  /** True if clients push to it or pull from it: nothing may answer them before the rest of the system is there. */
  readonly isFront: boolean
}

/**
 * Writes the configuration of every process, in Kraken's own keys, and says how each is started. The files are written
 * anew at every start.
 */
export function writeConfigs (plan: SystemPlan, dataDir: string): Member[] {
  const folder = join(dataDir, 'config')
  mkdirSync(folder, { recursive: true })
  return members(plan, dataDir).map(({ content, role, name, flags, healthPort }) => {
    const configFile = join(folder, `${name}.yaml`)
    const all = [...flags.map(String), ...CLUSTER_FLAGS]
    const comment = `# ${name} of the system in ${dataDir}. Written anew by each "shoal up" there; copy it to change it.\n` +
      `#   shoal ${role} --config ${configFile} ${all.join(' ')}\n`
    writeFileSync(configFile, comment + stringify(content))
    return { name, role, configFile, flags: all, healthUrl: `http://${HOST}:${healthPort}/health`, isFront: role === 'proxy' || role === 'agent' }
  })
}

interface Draft {
  readonly name: string
  readonly role: RoleName
  readonly flags: ReadonlyArray<string | number>
  readonly healthPort: number
  readonly content: object
}

function members (plan: SystemPlan, dataDir: string): Draft[] {
  const { proxy, origins, tracker, buildIndex, agents } = plan
  const originHosts = { hosts: addresses(origins.map(origin => origin.port)) }
  const buildIndexHosts = { hosts: addresses([buildIndex.port]) }
  return [
    ...origins.map(({ peerPort, port }, i): Draft => ({
      name: `origin-${i + 1}`,
      role: 'origin',
      flags: ['--peer-ip', HOST, '--peer-port', peerPort, '--blobserver-hostname', HOST, '--blobserver-port', port],
      healthPort: port,
      content: {
        cluster: originHosts.hosts,
        hashring: { max_replica: Math.min(REPLICAS, origins.length) },
        castore: folders(dataDir, `origin-${i + 1}`, 'upload'),
        metainfogen: { piece_lengths: { 0: '4MB' } },
        peer_id_factory: 'addr_hash',
        scheduler: { dispatch: { piece_request_policy: 'rarest_first' } }
      }
    })),
    {
      name: 'tracker',
      role: 'tracker',
      flags: ['--port', tracker.port],
      healthPort: tracker.port,
      content: { peerhandoutpolicy: { priority: 'completeness' }, origin: originHosts }
    },
    {
      name: 'build-index',
      role: 'build-index',
      flags: ['--port', buildIndex.port],
      healthPort: buildIndex.port,
      content: { store: folders(dataDir, 'build-index', 'upload'), tag_types: [{ namespace: '.*', type: 'docker' }], origin: originHosts }
    },
    {
      name: 'proxy',
      role: 'proxy',
      flags: ['--port', proxy.port, '--server-port', proxy.serverPort],
      healthPort: proxy.port,
      content: { castore: folders(dataDir, 'proxy', 'upload'), origin: originHosts, build_index: buildIndexHosts }
    },
    ...agents.map(({ registryPort, peerPort, serverPort }, i): Draft => ({
      name: `agent-${i + 1}`,
      role: 'agent',
      flags: ['--peer-ip', HOST, '--peer-port', peerPort, '--agent-server-port', serverPort, '--agent-registry-port', registryPort],
      healthPort: serverPort,
      content: {
        store: folders(dataDir, `agent-${i + 1}`, 'download'),
        tracker: { hosts: addresses([tracker.port]) },
        build_index: buildIndexHosts,
        peer_id_factory: 'addr_hash',
        scheduler: { dispatch: { piece_request_policy: 'rarest_first' } }
      }
    }))
  ]
}

function addresses (ports: readonly number[]): object { return { static: ports.map(port => `${HOST}:${port}`) } }

function folders (dataDir: string, name: string, incoming: 'upload' | 'download'): object {
  return { [`${incoming}_dir`]: join(dataDir, name, incoming), cache_dir: join(dataDir, name, 'cache') }
}
