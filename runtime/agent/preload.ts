import { isRepositoryName, isTag } from '../../net/api/registry.js'
import { type ContainerdOptions, containerdPull } from '../../net/client/containerd.js'
import { dockerPull, type DockerOptions } from '../../net/client/docker.js'
import { type Reply } from '../../net/http/engine.js'
import { ok, text } from '../../net/http/reply.js'
import { messageOf } from '../core/errors.js'
import { type Logger } from '../observe/log.js'

/** Pulls that run at the same time; each may cost a process. */
const PULLS_MAX = 16

export interface PreloaderOptions {
  readonly docker: DockerOptions
  readonly containerd: ContainerdOptions
  /** Where the runtime finds our registry. */
  readonly registryAddress: string
  readonly log: Logger
}

/** What is to be preloaded, as the client says it. */
export interface PreloadRequest {
  /** `repository:tag`. */
  readonly tag: string
  /** `docker`, which is also meant by '', or `containerd`. */
  readonly runtime: string
  /** Of containerd; '' is its default one. Docker has none. */
  readonly namespace: string
  /** Aborted when nobody waits for the answer any more: the pull ends. */
  readonly signal: AbortSignal
}

/** Has the container runtime of this host pull an image through this agent (http-api specification 3.2). */
export class Preloader {
  #running = 0

  constructor (readonly options: PreloaderOptions) {}

  /** Answers when the image is there, or with what the runtime says is wrong. */
  async preload ({ tag, runtime, namespace, signal }: PreloadRequest): Promise<Reply> {
    const { docker, containerd, registryAddress } = this.options
    const [repository = '', version = '', ...more] = tag.split(':')
    if (!isRepositoryName(repository) || !isTag(version) || more.length > 0) return text('failed to parse docker image tag', 500)
    if (this.#running >= PULLS_MAX) return text(`${PULLS_MAX} images are being preloaded already: ask again when one of them is there`, 429)
    const image = `${registryAddress}/${repository}`
    switch (runtime) {
      case '':
      case 'docker': return await this.#answer('docker', tag, signal, dockerPull(docker, image, version, { signal }))
      case 'containerd': return await this.#answer('containerd', tag, signal, containerdPull(containerd, `${image}:${version}`, namespace, { signal }))
      default: return text('unsupported container runtime', 500)
    }
  }

  async #answer (runtime: string, tag: string, signal: AbortSignal, pull: Promise<void>): Promise<Reply> {
    const { log } = this.options
    this.#running++
    try {
      await pull
      log.info({ tag, runtime }, 'image preloaded')
      return ok()
    } catch (error) {
      if (!signal.aborted) log.warn({ tag, runtime, error: messageOf(error) }, 'image not preloaded')
      return text(`${runtime} pull: ${messageOf(error)}`, 500)
    } finally {
      this.#running--
    }
  }
}
