import { type TestfsConfig } from '../../config/types.js'
import { AppError } from '../../core/errors.js'
import { type CallOptions } from '../../../net/client/clients.js'
import { type BackendClient, type DownloadOptions, type ListOptions, type ListPage, type ObjectContent, type ObjectStat, type ObjectStream } from '../backend.js'
import { makePather, type Pather } from '../pather.js'
import { probeName } from '../probe.js'
import { escapePath, Web, type WebAnswer } from '../web.js'

/** A list of more is not read. */
const LIST_BYTES_MAX = 64 * 1024 * 1024

/** The file server for development (http-api specification 10). */
export class TestfsClient implements BackendClient {
  readonly kind = 'testfs'
  readonly canUpload = true
  readonly canList = true
  readonly canResume = true
  readonly #web = new Web()
  readonly #pather: Pather

  constructor (readonly config: TestfsConfig) { this.#pather = makePather(config.namePath, (config.root ?? '').replace(/^\/+/, '')) }

  async stat (_: string, name: string, { signal }: CallOptions = {}): Promise<ObjectStat | undefined> {
    const answer = await this.#web.open({ method: 'HEAD', url: this.#urlOf(name), signal })
    answer.discard()
    if (answer.status === 404) return undefined
    const size = answer.header('size')
    if (answer.status !== 200 || size === undefined || !/^\d{1,15}$/.test(size)) throw answer.unexpected()
    return { sizeBytes: Number(size) }
  }

  async download (_: string, name: string, { offset = 0, signal }: DownloadOptions = {}): Promise<ObjectStream | undefined> {
    const headers: Record<string, string> = offset === 0 ? {} : { Range: `bytes=${offset}-` }
    const answer = await this.#web.open({ method: 'GET', url: this.#urlOf(name), headers, signal })
    if (answer.status === 404) return discarded(answer)
    if (answer.status !== (offset === 0 ? 200 : 206)) throw answer.unexpected()
    return { sizeBytes: answer.lengthBytes, chunks: () => answer.chunks() }
  }

  async upload (_: string, name: string, content: ObjectContent, { signal }: CallOptions = {}): Promise<void> {
    const body = { lengthBytes: content.sizeBytes, chunks: content.read(0, content.sizeBytes) }
    const answer = await this.#web.open({ method: 'POST', url: this.#urlOf(name), body, signal })
    if (answer.status !== 200) throw answer.unexpected()
    answer.discard()
  }

  /** All at once: the server has no pages. A folder that is not there is empty. */
  async list (prefix: string, { signal }: ListOptions = {}): Promise<ListPage> {
    const folder = [this.#pather.base, prefix.replace(/^\/+|\/+$/g, '')].filter(part => part !== '').join('/')
    const answer = await this.#web.open({ method: 'GET', url: `http://${this.config.address}/list/${escapePath(folder)}`, signal })
    const text = await answer.text(LIST_BYTES_MAX)
    if (answer.status === 500 && text.includes('no such file or directory')) return { names: [], next: undefined }
    if (answer.status !== 200) throw answer.unexpected()
    return { names: readPaths(text).flatMap(path => this.#pather.name(path) ?? []), next: undefined }
  }

  async checkReadiness (options?: CallOptions): Promise<void> { await this.stat('', probeName(this.config.namePath), options) }

  async close (): Promise<void> { await this.#web.close() }

  #urlOf (name: string): string { return `http://${this.config.address}/files/${escapePath(this.#pather.path(name))}` }
}

function discarded (answer: WebAnswer): undefined { answer.discard() }

/** @throws AppError NETWORK */
function readPaths (text: string): string[] {
  const paths: unknown = JSON.parse(text)
  if (paths === null) return []
  if (Array.isArray(paths) && paths.every(path => typeof path === 'string')) return paths
  throw new AppError('NETWORK', 'the list is no array of paths')
}
