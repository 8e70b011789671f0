import { randomInt } from 'node:crypto'
import { hostname } from 'node:os'
import { aliasKey } from '../../net/api/records.js'
import { createBlobClient } from '../../net/client/blob-client.js'
import { resolveHosts } from '../../net/client/hosts.js'
import { createHttp } from '../../net/client/http.js'
import { type Sleep, systemSleep } from '../../net/client/upstream.js'
import { listen } from '../../net/http/uws.js'
import { BackendManager } from '../backend/manager.js'
import { readCertificates } from '../cluster/certificates.js'
import { ownAddresses } from '../cluster/own-address.js'
import { TaskGroup } from '../cluster/task-group.js'
import { UndoList } from '../cluster/undo-list.js'
import { type BuildIndexConfig, type HostsConfig } from '../config/types.js'
import { systemClock as clock } from '../core/clock.js'
import { type RunningComponent } from '../core/component.js'
import { messageOf } from '../core/errors.js'
import { seededPrng } from '../core/prng.js'
import { type Logger } from '../observe/log.js'
import { withTasks } from '../retry/routes.js'
import { TaskQueue } from '../retry/task-queue.js'
import { type ContentDigest, type Digest, isDigest } from '../core/digest.js'
import { SimpleStore } from '../store/simple.js'
import { Dependencies } from './dependencies.js'
import { Learning } from './learning.js'
import { Neighbours } from './neighbours.js'
import { RecordCopies } from './record-copies.js'
import { Remotes } from './remotes.js'
import { addRecordRoutes } from './record-routes.js'
import { RecordStore } from './records.js'
import { BODY_BYTES_MAX, buildIndexRouter } from './server.js'
import { TagBackend } from './tag-backend.js'
import { TagLists } from './tag-lists.js'
import { TagService } from './tag-service.js'
import { TagStore } from './tag-store.js'
import { Witnesses } from './witnesses.js'

/** Starts a build-index: tags, and lists of them. `sleep` is what waits between tries. */
export async function startBuildIndex (
  config: BuildIndexConfig, log: Logger, { sleep = systemSleep }: { readonly sleep?: Sleep } = {}
): Promise<RunningComponent> {
  const undos = new UndoList(log)
  try {
    const { server: tls, client: clientTls } = readCertificates(config.tls)
    const records = await RecordStore.open(recordDirOf(config.store.cacheDir), () => clock.wall())
    undos.add('records', async () => { await records.close() })
    const tags = await TagStore.open(new SimpleStore({ cacheDir: config.store.cacheDir, log }), records)
    log.info({ tagCount: tags.size }, 'tags read')
    const queue = await TaskQueue.open({ dir: config.taskDir, clock, sleep: systemSleep, prng: seededPrng(randomInt(2 ** 32)), log })
    undos.add('task queue', async () => { await queue.close() })
    const backends = new BackendManager(config.backends, { log })
    undos.add('backends', async () => { await backends.close() })
    const http = createHttp(clientTls)
    undos.add('http', async () => { await http.close() })
    const origins = createBlobClient({ hosts: config.origin, http, log })
    undos.add('origins', async () => { await origins.close() })
    const neighbours = new Neighbours({
      addresses: neighboursOf(config, log),
      witnesses: new Witnesses({ addresses: resolveHosts(config.origin.hosts, { log }), http, clock, log }),
      http,
      queue,
      policy: config.tagReplication,
      own: async tag => await tags.find(tag),
      staggerMs: config.duplicatePutStaggerMs,
      clock,
      sleep: systemSleep,
      log
    })
    neighbours.start()
    const recordCopies = new RecordCopies({
      records, queue, policy: config.tagReplication, http, addresses: async () => await neighbours.addresses()
    })
    recordCopies.start()
    const learning = await Learning.open({
      dir: recordDirOf(config.store.cacheDir),
      addresses: async () => await neighbours.addresses(),
      isKnown: tag => tags.has(tag),
      keep: async (tag, version) => await tags.advance(tag, version),
      http,
      clock,
      sleep: systemSleep,
      log
    })
    const backend = new TagBackend({
      backends,
      queue,
      policy: config.writeBack,
      isWriteThrough: config.isWriteThrough,
      own: async tag => (await tags.find(tag))?.digest,
      sleep,
      log
    })
    backend.start()
    const dependencies = new Dependencies({ origins, tagTypes: config.tagTypes, sleep, storedAs: name => storedAs(records, name) })
    const remotes = new Remotes({
      rules: config.remotes,
      policy: config.tagReplication,
      auditIntervalMs: config.auditIntervalMs,
      find: async (tag, signal) => await service.find(tag, signal),
      names: async () => (await service.page('', { limit: Infinity })).names,
      share: async (tag, digest, needed) => { await neighbours.share(tag, digest, needed, config.duplicateReplicateStaggerMs) },
      dependencies,
      origins,
      http,
      queue,
      clock,
      sleep: systemSleep,
      log
    })
    const service: TagService = new TagService({
      tags,
      dependencies,
      remotes,
      origins,
      originAddress: stableAddress(config.origin.hosts),
      neighbours,
      hasLearnt: () => learning.isDone,
      backend,
      lists: backends.isConfigured ? new TagLists({ tags, backend, clock }) : undefined,
      checkBackends: async signal => { await backends.checkReadiness({ signal }) },
      clock
    })
    remotes.start()
    const tasks = new TaskGroup(log)
    undos.add('tasks', async () => { await tasks.close() })
    const onFailure = (error: unknown, event: string): void => { log.warn({ reason: messageOf(error) }, event) }
    const router = addRecordRoutes(withTasks(buildIndexRouter(service, log), queue), records, recordCopies)
    const server = await listen(router.handle, { port: config.port, bodyBytesMax: BODY_BYTES_MAX, onFailure, tls })
    undos.add('server', async () => { await server.close() })
    tasks.run('audit of remotes', async signal => { await remotes.audit(signal) })
    tasks.run('learn tags', async signal => { await learning.run(signal) })
    return { ports: { port: server.port }, stop: async () => { await undos.run() } }
  } catch (error) {
    await undos.run()
    throw error
  }
}

/** The members of the cluster without ourselves. */
function neighboursOf ({ cluster, port }: BuildIndexConfig, log: Logger): () => Promise<readonly string[]> {
  if (cluster === undefined) return async () => []
  const own = new Set(ownAddresses(hostname(), port))
  const resolve = resolveHosts(cluster.hosts, { log })
  return async () => (await resolve()).filter(address => !own.has(address))
}

/** What the registries have on record about a digest that is not by SHA-256. */
function storedAs (records: RecordStore, name: ContentDigest): Digest | undefined {
  const { value = '' } = records.get(aliasKey(name)) ?? {}
  return isDigest(value) ? value : undefined
}

/** The folder of the records: beside the tags, since everything below `cache_dir` is a tag. */
function recordDirOf (cacheDir: string): string { return `${cacheDir.replace(/\/+$/, '')}.records` }

/** How other clusters reach the origins: the name, or a member drawn once (cluster specification 3.4). */
function stableAddress (hosts: HostsConfig): string {
  return hosts.dns ?? hosts.static[randomInt(Math.max(1, hosts.static.length))] ?? ''
}
