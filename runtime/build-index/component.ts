import { randomInt } from 'node:crypto'
import { createBlobClient } from '../../net/client/blob-client.js'
import { createHttp } from '../../net/client/http.js'
import { type Sleep, systemSleep } from '../../net/client/upstream.js'
import { listen } from '../../net/http/uws.js'
import { type BuildIndexConfig, type HostsConfig } from '../config/types.js'
import { type RunningComponent } from '../core/component.js'
import { messageOf } from '../core/errors.js'
import { type Logger } from '../observe/log.js'
import { SimpleStore } from '../store/simple.js'
import { Dependencies } from './dependencies.js'
import { BODY_BYTES_MAX, createBuildIndexHandler } from './server.js'
import { TagService } from './tag-service.js'
import { TagStore } from './tag-store.js'

/** Starts a build-index: tags, and lists of them. `sleep` is what waits between tries. */
export async function startBuildIndex (
  config: BuildIndexConfig, log: Logger, { sleep = systemSleep }: { readonly sleep?: Sleep } = {}
): Promise<RunningComponent> {
  const tags = await TagStore.open(new SimpleStore({ cacheDir: config.store.cacheDir, log }))
  log.info({ tagCount: tags.size }, 'tags read')
  const http = createHttp()
  const origins = createBlobClient({ hosts: config.origin, http, log })
  const service = new TagService({
    tags,
    dependencies: new Dependencies({ origins, tagTypes: config.tagTypes, sleep }),
    origins,
    originAddress: stableAddress(config.origin.hosts)
  })
  const closeClients = async (): Promise<void> => {
    await origins.close()
    await http.close()
  }
  const onFailure = (error: unknown, event: string): void => { log.warn({ reason: messageOf(error) }, event) }
  try {
    const server = await listen(createBuildIndexHandler(service, log), { port: config.port, bodyBytesMax: BODY_BYTES_MAX, onFailure })
    return {
      ports: { port: server.port },
      stop: async () => {
        await server.close()
        await closeClients()
      }
    }
  } catch (error) {
    await closeClients()
    throw error
  }
}

/** How other clusters reach the origins: the name, or a member drawn once (cluster specification 3.4). */
function stableAddress (hosts: HostsConfig): string {
  return hosts.dns ?? hosts.static[randomInt(Math.max(1, hosts.static.length))] ?? ''
}
