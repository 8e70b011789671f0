import { randomUUID } from 'node:crypto'
import { posix } from 'node:path'
import { type CallOptions } from '../../../net/client/clients.js'
import { type HdfsConfig } from '../../config/types.js'
import { AppError, messageOf } from '../../core/errors.js'
import { field, isRecord } from '../../core/json.js'
import { type BackendClient, type DownloadOptions, type ListPage, type ObjectContent, type ObjectStat, type ObjectStream } from '../backend.js'
import { makePather, type Pather } from '../pather.js'
import { probeName } from '../probe.js'
import { escapePath, Web, type WebAnswer, type WebRequest } from '../web.js'

/** Of a folder's list, or of any other answer in JSON. */
const JSON_BYTES_MAX = 64 * 1024 * 1024
const ENTRIES_MAX = 5_000_000
/** Parts of a Docker registry's storage that hold no tags. */
const SKIPPED = new Set(['_layers', '_uploads', 'revisions', 'index'])

interface Entry { readonly name: string, readonly isFolder: boolean }
type Answered = Readonly<Record<string, unknown>>

/**
 * Hadoop's file system over WebHDFS (cluster specification 5.7). An upload goes to a file of its own and is renamed when it is
 * complete. Requests go to the name node that answered last; one on standby, or none at all, makes it the next one's turn.
 */
export class HdfsClient implements BackendClient {
  readonly kind = 'hdfs'
  readonly canUpload = true
  readonly canList = true
  readonly canResume = true
  readonly #web = new Web()
  readonly #pather: Pather
  #preferred = 0

  constructor (readonly config: HdfsConfig) { this.#pather = makePather(config.namePath, config.root) }

  async stat (_: string, name: string, { signal }: CallOptions = {}): Promise<ObjectStat | undefined> {
    const answer = await this.#ask('GET', 'GETFILESTATUS', this.#pather.path(name), {}, { signal })
    const status = answer === undefined ? undefined : field(answer, 'FileStatus')
    if (answer === undefined || (isRecord(status) && status['type'] === 'DIRECTORY')) return undefined
    const sizeBytes = isRecord(status) ? status['length'] : undefined
    if (typeof sizeBytes !== 'number' || !Number.isSafeInteger(sizeBytes)) throw new AppError('NETWORK', 'the name node told no length')
    return { sizeBytes }
  }

  async download (_: string, name: string, { offset = 0, signal }: DownloadOptions = {}): Promise<ObjectStream | undefined> {
    const found = await this.stat('', name, signal === undefined ? {} : { signal })
    if (found?.sizeBytes === undefined) return undefined
    const sizeBytes = Math.max(0, found.sizeBytes - offset)
    const answer = await this.#send({ method: 'GET', signal }, 'OPEN', this.#pather.path(name), offset === 0 ? {} : { offset: String(offset) }, 'follow')
    if (answer.status === 404) {
      answer.discard()
      return undefined
    }
    if (answer.status !== 200) throw answer.unexpected()
    return { sizeBytes, chunks: () => answer.chunks() }
  }

  async upload (_: string, name: string, content: ObjectContent, { signal }: CallOptions = {}): Promise<void> {
    const target = this.#pather.path(name)
    const staged = posix.join(this.config.root, this.config.uploadDirectory, randomUUID())
    try {
      await this.#create(staged, content, signal)
      await this.#demand('MKDIRS', posix.dirname(target), { permission: '777' }, signal)
      await this.#rename(staged, target, signal)
    } catch (error) {
      await this.#ask('DELETE', 'DELETE', staged, {}, {}).catch(() => {})
      throw error
    }
  }

  /** All at once, folder by folder, several at a time. */
  async list (prefix: string, { signal }: CallOptions = {}): Promise<ListPage> {
    const names: string[] = []
    const folders = [posix.join(this.#pather.base, prefix.replace(/^\/+|\/+$/g, ''))]
    let running = 0
    await new Promise<void>((resolve, reject) => {
      const more = (): void => {
        if (folders.length === 0 && running === 0) resolve()
        while (running < this.config.listConcurrency) {
          const folder = folders.pop()
          if (folder === undefined) return
          running++
          this.#read(folder, signal).then(entries => {
            running--
            for (const { name, isFolder } of entries) {
              const path = `${folder}/${name}`
              if (!isFolder) names.push(...[this.#pather.name(path)].filter(found => found !== undefined))
              else if (!SKIPPED.has(name) && path !== posix.join(this.config.root, this.config.uploadDirectory)) folders.push(path)
            }
            if (names.length + folders.length > ENTRIES_MAX) throw new AppError('NETWORK', `more than ${ENTRIES_MAX} names are not listed`)
            more()
          }).catch(reject)
        }
      }
      more()
    })
    return { names, next: undefined }
  }

  async checkReadiness (options?: CallOptions): Promise<void> { await this.stat('', probeName(this.config.namePath), options) }

  async close (): Promise<void> { await this.#web.close() }

  /** The name node says at which data node the bytes go in. */
  async #create (path: string, content: ObjectContent, signal: AbortSignal | undefined): Promise<void> {
    const answer = await this.#send({ method: 'PUT', signal }, 'CREATE', path, { overwrite: 'true' }, 'open')
    const location = answer.header('location')
    if (answer.status !== 307 || location === undefined || !/^https?:\/\//.test(location) || !URL.canParse(location)) throw answer.unexpected()
    answer.discard()
    const body = { lengthBytes: content.sizeBytes, chunks: content.read(0, content.sizeBytes) }
    const created = await this.#web.open({ method: 'PUT', url: location, headers: { 'Content-Type': 'application/octet-stream' }, body, signal })
    if (created.status !== 201 && created.status !== 200) throw created.unexpected()
    created.discard()
  }

  /** Renaming onto a file that is there is refused, with `false` as the answer: then that file goes first. */
  async #rename (from: string, to: string, signal: AbortSignal | undefined): Promise<void> {
    for (const isLast of [false, true]) {
      const answer = await this.#ask('PUT', 'RENAME', from, { destination: to }, { signal })
      if (answer !== undefined && field(answer, 'boolean') === true) return
      if (isLast) throw new AppError('NETWORK', `${from} could not be renamed to ${to}`)
      await this.#ask('DELETE', 'DELETE', to, {}, { signal })
    }
  }

  async #demand (operation: string, path: string, query: Readonly<Record<string, string>>, signal: AbortSignal | undefined): Promise<void> {
    const answer = await this.#ask('PUT', operation, path, query, { signal })
    if (answer === undefined || field(answer, 'boolean') !== true) throw new AppError('NETWORK', `${operation} of ${path} was refused`)
  }

  async #read (folder: string, signal: AbortSignal | undefined): Promise<Entry[]> {
    const answer = await this.#ask('GET', 'LISTSTATUS', folder, {}, { signal })
    if (answer === undefined) return []
    const statuses = field(answer, 'FileStatuses')
    const entries = isRecord(statuses) ? statuses['FileStatus'] : undefined
    if (!Array.isArray(entries)) throw new AppError('NETWORK', `the list of ${folder} is malformed`)
    return entries.flatMap((entry: unknown) => {
      const name = isRecord(entry) ? entry['pathSuffix'] : undefined
      return isRecord(entry) && typeof name === 'string' && name !== '' && name !== '..' && !name.includes('/')
        ? [{ name, isFolder: entry['type'] === 'DIRECTORY' }]
        : []
    })
  }

  /** One operation that is answered in JSON; undefined for 404. */
  async #ask (
    method: 'GET' | 'PUT' | 'DELETE', operation: string, path: string, query: Readonly<Record<string, string>>, { signal }: { signal?: AbortSignal | undefined }
  ): Promise<Answered | undefined> {
    const answer = await this.#send({ method, signal }, operation, path, query, 'open')
    if (answer.status === 404) {
      answer.discard()
      return undefined
    }
    if (answer.status !== 200) throw answer.unexpected()
    const parsed: unknown = JSON.parse(await answer.text(JSON_BYTES_MAX))
    return isRecord(parsed) ? parsed : {}
  }

  async #send (
    request: Pick<WebRequest, 'method' | 'signal'>, operation: string, path: string, query: Readonly<Record<string, string>>, how: 'open' | 'follow'
  ): Promise<WebAnswer> {
    const { nameNodes, username } = this.config
    const parameters = new URLSearchParams({ op: operation, ...username === undefined ? {} : { 'user.name': username }, ...query })
    const failures: string[] = []
    for (let tries = 0; tries < nameNodes.length; tries++) {
      const index = (this.#preferred + tries) % nameNodes.length
      const node = nameNodes[index] ?? ''
      try {
        const answer = await this.#web[how]({ ...request, url: `http://${node}/webhdfs/v1${escapePath(path)}?${parameters.toString()}` })
        // One on standby says so with 403; so does one that refuses us, and then they all do.
        if (answer.status !== 403 && answer.status < 500) {
          this.#preferred = index
          return answer
        }
        failures.push(answer.unexpected().message)
      } catch (error) {
        if (request.signal?.aborted === true) throw error
        failures.push(messageOf(error))
      }
    }
    throw new AppError('NETWORK', failures.join('; '))
  }
}
