import { createHash } from 'node:crypto'
import { Agent, type Dispatcher, request } from 'undici'
import { type Digest, digestFromSum, digestOf, parseDigest } from '../core/digest.js'
import { AppError, messageOf } from '../core/errors.js'
import { field, parseJson } from '../core/json.js'
import { type Image, type ImageBlob } from './image.js'

/** Blobs moved at a time, as container tools do it. */
const PARALLEL_BLOBS = 3
const MANIFEST_BYTES_MAX = 4 * 1024 * 1024
const MANIFEST_TYPES = [
  'application/vnd.oci.image.index.v1+json', 'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json', 'application/vnd.docker.distribution.manifest.v2+json'
].join(', ')

export interface TransferOptions {
  readonly signal?: AbortSignal
  /** Told of blob bytes as they go by. */
  readonly onBytes?: (byteCount: number) => void
}

/** What a container tool does with a registry, over plain HTTP: push an image, and pull it again checking every byte. */
export class RegistryClient {
  readonly #dispatcher = new Agent({ connections: 2 * PARALLEL_BLOBS, headersTimeout: 300_000, bodyTimeout: 300_000 })

  /** @param baseUrl - such as `http://127.0.0.1:15000` */
  constructor (readonly baseUrl: string) {}

  /** @throws AppError UNAVAILABLE with what the registry answered, NETWORK, CANCELLED */
  async push (repository: string, tag: string, image: Image, options: TransferOptions = {}): Promise<void> {
    await inParallel(image.blobs, async blob => { await this.#pushBlob(repository, blob, options) })
    for (const manifest of image.manifests) {
      const reference = manifest === image.top ? tag : manifest.digest
      const headers = { 'content-type': manifest.mediaType }
      await this.#expect(201, 'PUT', `/v2/${repository}/manifests/${reference}`, { headers, body: manifest.bytes, signal: options.signal })
    }
  }

  /**
   * Pulls the manifest, for an index all that it names, and every blob of them; nothing is kept.
   * @returns the digest that the tag points at, and how many blob bytes came
   * @throws AppError DIGEST_MISMATCH for bytes that are not what their digest says, and as `push`
   */
  async pull (repository: string, tag: string, options: TransferOptions = {}): Promise<{ digest: Digest, blobBytes: number }> {
    const top = await this.#manifest(repository, tag, options)
    const content = parseJson(top.text, 'manifest')
    const children = elements(field(content, 'manifests')).map(digestIn)
    const manifests = children.length === 0 ? [content] : []
    for (const child of children) manifests.push(parseJson((await this.#manifest(repository, child, options)).text, 'manifest'))
    const blobs = new Set(manifests.flatMap(manifest => [field(manifest, 'config'), ...elements(field(manifest, 'layers'))]).map(digestIn))
    const sizes = await inParallel([...blobs], async digest => await this.#pullBlob(repository, digest, options))
    return { digest: top.digest, blobBytes: sizes.reduce((sum, size) => sum + size, 0) }
  }

  /** Closes the connections. */
  async close (): Promise<void> { await this.#dispatcher.destroy() }

  async #pushBlob (repository: string, blob: ImageBlob, { signal, onBytes = () => {} }: TransferOptions): Promise<void> {
    const known = await this.#send('HEAD', `/v2/${repository}/blobs/${blob.digest}`, { signal })
    await known.body.dump()
    if (known.statusCode === 200) return onBytes(blob.sizeBytes)
    const started = await this.#expect(202, 'POST', `/v2/${repository}/blobs/uploads/`, { signal })
    const body = blob.open().on('data', (chunk: Uint8Array) => { onBytes(chunk.length) }).pause()
    const headers = { 'content-type': 'application/octet-stream', 'content-length': String(blob.sizeBytes) }
    const patched = await this.#expect(202, 'PATCH', locationOf(started), { headers, body, signal })
    const target = new URL(locationOf(patched), this.baseUrl)
    target.searchParams.set('digest', blob.digest)
    await this.#expect(201, 'PUT', target.href, { signal })
  }

  async #pullBlob (repository: string, digest: Digest, { signal, onBytes = () => {} }: TransferOptions): Promise<number> {
    const path = `/v2/${repository}/blobs/${digest}`
    const { statusCode, body } = await this.#send('GET', path, { signal })
    if (statusCode !== 200) throw await refused('GET', path, statusCode, body)
    const hash = createHash('sha256')
    let sizeBytes = 0
    try {
      for await (const chunk of body) {
        const view: Uint8Array = chunk
        hash.update(view)
        sizeBytes += view.length
        onBytes(view.length)
      }
    } catch (cause) {
      throw networkError('GET', this.baseUrl + path, cause, signal)
    }
    check(digest, digestFromSum(hash.digest()), path)
    return sizeBytes
  }

  async #manifest (repository: string, reference: string, { signal }: TransferOptions): Promise<{ digest: Digest, text: string }> {
    const path = `/v2/${repository}/manifests/${reference}`
    const { body } = await this.#expect(200, 'GET', path, { headers: { accept: MANIFEST_TYPES }, signal })
    const digest = digestOf(body)
    if (reference.startsWith('sha256:')) check(reference, digest, path)
    return { digest, text: body.toString('utf8') }
  }

  /** Sends a request whose answer is small, and must have this status. */
  async #expect (status: number, method: Dispatcher.HttpMethod, target: string, options: SendOptions): Promise<{ headers: Headers, body: Buffer }> {
    const { statusCode, headers, body } = await this.#send(method, target, options)
    if (statusCode !== status) throw await refused(method, target, statusCode, body)
    return { headers, body: await small(body) }
  }

  async #send (method: Dispatcher.HttpMethod, target: string, { headers, body, signal }: SendOptions): Promise<Dispatcher.ResponseData> {
    const url = new URL(target, this.baseUrl)
    try {
      return await request(url, { method, headers, body, signal, dispatcher: this.#dispatcher })
    } catch (cause) {
      throw networkError(method, url.href, cause, signal)
    }
  }
}

type Headers = Dispatcher.ResponseData['headers']
interface SendOptions {
  readonly headers?: Record<string, string>
  readonly body?: Exclude<Dispatcher.DispatchOptions['body'], undefined>
  readonly signal?: AbortSignal | undefined
}

function locationOf ({ headers }: { headers: Headers }): string {
  const location = headers['location']
  if (typeof location !== 'string') throw new AppError('UNAVAILABLE', 'the registry answered an upload without a Location')
  return location
}

async function refused (method: string, target: string, statusCode: number, body: Dispatcher.ResponseData['body']): Promise<AppError> {
  return new AppError('UNAVAILABLE', `${method} ${target} was answered ${statusCode}: ${(await small(body)).toString('utf8').slice(0, 500).trim()}`)
}

async function small (body: Dispatcher.ResponseData['body']): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for await (const chunk of body) {
    const view: Uint8Array = chunk
    sizeBytes += view.length
    if (sizeBytes > MANIFEST_BYTES_MAX) throw new AppError('BODY_TOO_LARGE', `the registry sent more than ${MANIFEST_BYTES_MAX} bytes where a manifest was expected`)
    chunks.push(view)
  }
  return Buffer.concat(chunks)
}

function networkError (method: string, url: string, cause: unknown, signal: AbortSignal | undefined): AppError {
  return signal?.aborted === true
    ? new AppError('CANCELLED', `${method} ${url} was cancelled`, { cause })
    : new AppError('NETWORK', `${method} ${url} failed: ${messageOf(cause)}`, { cause })
}

function check (wanted: string, got: Digest, path: string): void {
  if (wanted !== got) throw new AppError('DIGEST_MISMATCH', `${path} has the digest ${got}`)
}

function elements (value: unknown): unknown[] { return Array.isArray(value) ? value : [] }

function digestIn (descriptor: unknown): Digest {
  const digest = field(descriptor, 'digest')
  if (typeof digest !== 'string') throw new AppError('MANIFEST_INVALID', 'a descriptor in the manifest has no digest')
  return parseDigest(digest)
}

/** Runs `work` for each item, a few at a time; the first failure is thrown when all that runs has ended. */
async function inParallel<T, R> (items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  const failures: unknown[] = []
  let next = 0
  const lane = async (): Promise<void> => {
    while (failures.length === 0) {
      const i = next++
      const item = items[i]
      if (item === undefined) return
      try {
        results[i] = await work(item)
      } catch (error) {
        failures.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: PARALLEL_BLOBS }, lane))
  if (failures.length > 0) throw failures[0]
  return results
}
