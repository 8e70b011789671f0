import { dockerPull, type DockerOptions } from '../../net/client/docker.js'
import { type Reply } from '../../net/http/engine.js'
import { ok, text } from '../../net/http/reply.js'
import { messageOf } from '../core/errors.js'
import { type Logger } from '../observe/log.js'

export interface PreloaderOptions {
  readonly docker: DockerOptions
  /** Where the runtime finds our registry. */
  readonly registryAddress: string
  readonly log: Logger
}

/** Has the container runtime of this host pull an image through this agent (http-api specification 3.2). */
export class Preloader {
  constructor (readonly options: PreloaderOptions) {}

  /** Answers when the image is there. @param runtime - `docker`, which is also meant by '', or `containerd` */
  async preload (tag: string, runtime: string, signal: AbortSignal): Promise<Reply> {
    const { log } = this.options
    const [repository = '', version = '', ...more] = tag.split(':')
    if (repository === '' || version === '' || more.length > 0) return text('failed to parse docker image tag', 500)
    if (runtime === 'containerd') return text('containerd pull: this agent cannot speak to containerd, which takes gRPC only; have it pull from the registry port', 500)
    if (runtime !== 'docker' && runtime !== '') return text('unsupported container runtime', 500)
    try {
      await dockerPull(this.options.docker, `${this.options.registryAddress}/${repository}`, version, { signal })
      log.info({ tag, runtime }, 'image preloaded')
      return ok()
    } catch (error) {
      if (!signal.aborted) log.warn({ tag, runtime, error: messageOf(error) }, 'image not preloaded')
      return text(`docker pull: ${messageOf(error)}`, 500)
    }
  }
}
