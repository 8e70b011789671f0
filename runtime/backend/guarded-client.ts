import { type CallOptions } from '../../net/client/clients.js'
import { type BandwidthConfig } from '../config/types.js'
import { AppError, isAppError, messageOf } from '../core/errors.js'
import { type Clock } from '../core/clock.js'
import { type Sleep } from '../../net/client/upstream.js'
import { type Logger } from '../observe/log.js'
import { type BackendClient, type DownloadOptions, type ListOptions, type ListPage, type ObjectContent, type ObjectStat, type ObjectStream } from './backend.js'
import { Throttle, throttled } from './throttle.js'

/** How often a download that broke off is continued without a byte of progress in between. */
const FRUITLESS_MAX = 3
const PAUSE_MS = 200
const NEVER = new AbortController().signal

export interface GuardOptions {
  readonly bandwidth: BandwidthConfig | undefined
  readonly clock: Clock
  readonly sleep: Sleep
  readonly log: Logger
}

/**
 * What every backend's client has in common and none of them has to care about: a download is exactly as long as it was
 * said to be, one that breaks off is continued where the backend can, rates hold, and failures have the codes of the contract.
 */
export class GuardedClient implements BackendClient {
  readonly #egress: Throttle | undefined
  readonly #ingress: Throttle | undefined

  constructor (readonly inner: BackendClient, readonly options: GuardOptions) {
    const { bandwidth, clock, sleep } = options
    if (bandwidth === undefined) return
    this.#egress = new Throttle(bandwidth.egressBytesPerSecond, clock, sleep)
    this.#ingress = new Throttle(bandwidth.ingressBytesPerSecond, clock, sleep)
  }

  get kind (): string { return this.inner.kind }
  get canUpload (): boolean { return this.inner.canUpload }
  get canList (): boolean { return this.inner.canList }
  get canResume (): boolean { return this.inner.canResume }

  /** The configured rates are those of the whole cluster: this member takes its share. */
  shareBandwidth (memberCount: number): void {
    const { bandwidth } = this.options
    if (bandwidth === undefined || this.#egress === undefined || this.#ingress === undefined) return
    this.#egress.bytesPerSecond = bandwidth.egressBytesPerSecond / Math.max(1, memberCount)
    this.#ingress.bytesPerSecond = bandwidth.ingressBytesPerSecond / Math.max(1, memberCount)
  }

  async stat (namespace: string, name: string, options: CallOptions = {}): Promise<ObjectStat | undefined> {
    return await this.#told('stat', name, options.signal, async () => await this.inner.stat(namespace, name, options))
  }

  async download (namespace: string, name: string, options: DownloadOptions = {}): Promise<ObjectStream | undefined> {
    const { offset = 0, signal } = options
    const first = await this.#told('download', name, signal, async () => await this.inner.download(namespace, name, options))
    if (first === undefined) return undefined
    const { sizeBytes } = first
    const next = async (position: number): Promise<ObjectStream | undefined> =>
      await this.inner.download(namespace, name, { ...options, offset: offset + position })
    return { sizeBytes, chunks: () => this.#chunks(name, first, next, signal) }
  }

  async upload (namespace: string, name: string, content: ObjectContent, options: CallOptions = {}): Promise<void> {
    const { signal = NEVER } = options
    const egress = this.#egress
    const limited = egress === undefined
      ? content
      : { sizeBytes: content.sizeBytes, read: (offset: number, lengthBytes: number) => throttled(content.read(offset, lengthBytes), egress, signal) }
    await this.#told('upload', name, signal, async () => { await this.inner.upload(namespace, name, limited, options) })
  }

  async list (prefix: string, options: ListOptions = {}): Promise<ListPage> {
    return await this.#told('list', prefix, options.signal, async () => await this.inner.list(prefix, options))
  }

  async checkReadiness (options: CallOptions = {}): Promise<void> {
    await this.#told('check', this.kind, options.signal, async () => { await this.inner.checkReadiness(options) })
  }

  async close (): Promise<void> { await this.inner.close() }

  async * #chunks (
    name: string, first: ObjectStream, next: (position: number) => Promise<ObjectStream | undefined>, signal: AbortSignal = NEVER
  ): AsyncGenerator<Uint8Array> {
    const { sizeBytes } = first
    let stream = first
    let position = 0
    let fruitless = 0
    for (;;) {
      try {
        for await (const chunkView of this.#ingress === undefined ? stream.chunks() : throttled(stream.chunks(), this.#ingress, signal)) {
          position += chunkView.length
          fruitless = 0
          if (sizeBytes !== undefined && position > sizeBytes) throw new AppError('CORRUPT', `${name} goes on after the ${sizeBytes} bytes that were announced`)
          yield chunkView
        }
        if (sizeBytes === undefined || position === sizeBytes) return
        throw new AppError('NETWORK', `${name} ends after ${position} of ${sizeBytes} bytes`)
      } catch (error) {
        // All of it is here: how the connection ends is nobody's business.
        if (position === sizeBytes) return
        const isFinal = isAppError(error, 'CORRUPT') || !this.canResume || sizeBytes === undefined || ++fruitless > FRUITLESS_MAX
        if (signal.aborted || isFinal) throw this.#failure('download', name, signal, error)
        this.options.log.warn({ backend: this.kind, name, position, sizeBytes, error: messageOf(error) }, 'download broke off')
      }
      stream = await this.#continued(name, next, position, sizeBytes - position, signal)
    }
  }

  async #continued (
    name: string, next: (position: number) => Promise<ObjectStream | undefined>, position: number, missingBytes: number, signal: AbortSignal
  ): Promise<ObjectStream> {
    return await this.#told('download', name, signal, async () => {
      for (let tries = 1; ; tries++) {
        try {
          await this.options.sleep(PAUSE_MS * 2 ** tries, signal)
          const stream = await next(position)
          if (stream?.sizeBytes === missingBytes) return stream
          throw new AppError('CORRUPT', `${name} has changed in the backend while it was read`)
        } catch (error) {
          if (isAppError(error, 'CORRUPT') || signal.aborted || tries === FRUITLESS_MAX) throw error
        }
      }
    })
  }

  async #told<T> (what: string, name: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw this.#failure(what, name, signal, error)
    }
  }

  #failure (what: string, name: string, signal: AbortSignal | undefined, error: unknown): AppError {
    const text = `${this.kind} backend: ${what} of ${name.slice(0, 256)}: ${messageOf(error)}`
    if (signal?.aborted === true) return new AppError('CANCELLED', text, { cause: error })
    const code = isAppError(error) && KEPT.has(error.code) ? error.code : 'UNAVAILABLE'
    return new AppError(code, text, { cause: error })
  }
}

const KEPT: ReadonlySet<string> = new Set(['NAME_INVALID', 'UNSUPPORTED', 'CANCELLED', 'CORRUPT', 'CONFIG_INVALID'])
