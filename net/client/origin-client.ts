import { type Digest, hexOf } from '../../runtime/core/digest.js'
import { AppError } from '../../runtime/core/errors.js'
import { parseJson } from '../../runtime/core/json.js'
import { MetaInfo } from '../../runtime/core/metainfo.js'
import { type PeerContext, peerContextFromJson } from '../../runtime/core/peer.js'
import { INLINE_HEADER, splitInlined } from '../api/inline.js'
import { LEASE_HEADER, LOCATIONS_HEADER, originApi, PIECE_DIGESTS_HEADER } from '../api/origin.js'
import { pathOf } from '../api/route.js'
import { must200, refusal, statedSize } from './answers.js'
import { type BlobUpload, duplicateUpload, publicUpload, transferUpload, type UploadRoute, uploadBlob } from './blob-upload.js'
import { type BlobContent, type BlobStream, type CallOptions, type MetaInfoAnswer, type MetaInfoOptions, type OriginClient } from './clients.js'
import { type Http, type HttpAnswer, type HttpStream } from './http.js'
import { type Sleep, systemSleep } from './upstream.js'

const SHORT_MS = 5_000
const LOOKUP_MS = 15_000
const DELETE_MS = 60_000
const PREFETCH_MS = 60_000
/** About eight million pieces. */
export const METAINFO_BYTES_MAX = 64 * 1024 * 1024
/** More owners than any ring has replicas. */
const LOCATIONS_MAX = 256

/** One origin, addressed directly. The connections are those of `http`, so there is nothing to close here. */
export function createOriginClient (address: string, http: Http, options: { readonly sleep?: Sleep } = {}): HttpOriginClient {
  return new HttpOriginClient(address, http, options.sleep ?? systemSleep)
}

/** With the calls that only the cluster's client makes. */
export class HttpOriginClient implements OriginClient {
  /** @param isReplaceable - whether somebody else can be asked if this one does not answer */
  constructor (readonly address: string, readonly http: Http, readonly sleep: Sleep, readonly isReplaceable = true) {}

  async statLocal (namespace: string, digest: Digest, options?: CallOptions): Promise<{ sizeBytes: number } | undefined> {
    return await this.#stat(namespace, digest, '?local=true', options)
  }

  /** Asks the origin's backend too. */
  async stat (namespace: string, digest: Digest, options?: CallOptions): Promise<{ sizeBytes: number } | undefined> {
    return await this.#stat(namespace, digest, '', options)
  }

  async metaInfo (namespace: string, digest: Digest, options: MetaInfoOptions = {}): Promise<MetaInfoAnswer> {
    const answer = await this.http.call({
      method: 'GET',
      address: this.address,
      path: pathOf(originApi.metaInfo, { namespace, digest }),
      headers: metaInfoHeaders(options),
      timeoutMs: LOOKUP_MS,
      answerBytesMax: METAINFO_BYTES_MAX,
      signal: options.signal,
      isReplaceable: this.isReplaceable
    })
    return metaInfoOf(this.#what('metainfo', digest), digest, answer)
  }

  async download (namespace: string, digest: Digest, options: CallOptions = {}): Promise<BlobStream> {
    const stream = await this.openBlob(namespace, digest, undefined, options)
    if (stream.status !== 200) throw await this.refusalOf(digest, stream)
    const sizeBytes = stream.lengthBytes ?? (await this.statLocal(namespace, digest, options))?.sizeBytes
    if (sizeBytes !== undefined) return { sizeBytes, chunks: () => exactly(sizeBytes, stream.chunks(), this.#what('download', digest)) }
    stream.discard()
    throw new AppError('UNAVAILABLE', `${this.#what('download', digest)} does not say how large it is`)
  }

  async peerContext (options?: CallOptions): Promise<PeerContext> {
    const answer = await this.#get(originApi.peerContext.path, options)
    return peerContextFromJson(parseJson(must200(`peer context of ${this.address}`, answer).text, `peer context of ${this.address}`))
  }

  async locations (digest: Digest, options?: CallOptions): Promise<string[]> {
    const what = this.#what('locations', digest)
    const answer = must200(what, await this.#get(pathOf(originApi.locations, { digest }), options))
    const owners = (answer.header(LOCATIONS_HEADER.toLowerCase()) ?? '').split(',').map(owner => owner.trim()).filter(owner => owner !== '')
    if (owners.length === 0) throw new AppError('UNAVAILABLE', `${what} names no owner`)
    return owners.slice(0, LOCATIONS_MAX)
  }

  async checkReadiness (options?: CallOptions): Promise<void> {
    must200(`readiness of ${this.address}`, await this.#get(originApi.readiness.path, options))
  }

  async upload (namespace: string, digest: Digest, content: BlobContent, options?: CallOptions): Promise<void> {
    await this.#upload(digest, content, publicUpload(namespace, digest), options)
  }

  async uploadDuplicate (namespace: string, digest: Digest, content: BlobContent, delayMs: number, options?: CallOptions): Promise<void> {
    await this.#upload(digest, content, duplicateUpload(namespace, digest, delayMs), options)
  }

  async transfer (digest: Digest, content: BlobContent, options?: CallOptions): Promise<void> {
    await this.#upload(digest, content, transferUpload(digest), options)
  }

  async deleteBlob (digest: Digest, options: CallOptions = {}): Promise<boolean> {
    const path = pathOf(originApi.deleteBlob, { digest })
    const answer = await this.http.call({ method: 'DELETE', address: this.address, path, timeoutMs: DELETE_MS, signal: options.signal, isReplaceable: this.isReplaceable })
    if (answer.status === 404) return false
    if (answer.status !== 202 && answer.status !== 200) throw refusal(this.#what('deletion', digest), answer)
    return true
  }

  /** Resolves when the origin has the blob or has begun to fetch it. @throws AppError BLOB_UNKNOWN */
  async prefetch (namespace: string, digest: Digest, options: CallOptions = {}): Promise<void> {
    const path = pathOf(originApi.prefetch, { namespace, digest })
    const answer = await this.http.call({ method: 'POST', address: this.address, path, timeoutMs: PREFETCH_MS, signal: options.signal, isReplaceable: this.isReplaceable })
    if (answer.status !== 200 && answer.status !== 202) throw refusal(this.#what('prefetch', digest), answer)
  }

  async fetchFromBackend (namespace: string, digest: Digest, options: CallOptions = {}): Promise<'present' | 'pending' | 'unknown'> {
    const path = pathOf(originApi.prefetch, { namespace, digest })
    const headers = { [LEASE_HEADER]: 'true' }
    const answer = await this.http.call({ method: 'POST', address: this.address, path, headers, timeoutMs: LOOKUP_MS, signal: options.signal })
    if (answer.status === 404) return 'unknown'
    if (answer.status === 202) return 'pending'
    must200(this.#what('prefetch', digest), answer)
    return 'present'
  }

  /** The answer to a GET of the blob, whatever its status; `range` is what to put into a Range header. */
  async openBlob (namespace: string, digest: Digest, range: string | undefined, options: CallOptions): Promise<HttpStream> {
    return await this.http.open({
      method: 'GET',
      address: this.address,
      path: pathOf(originApi.download, { namespace, digest }),
      headers: range === undefined ? {} : { Range: range },
      signal: options.signal,
      isReplaceable: this.isReplaceable
    })
  }

  /** What an answer to `openBlob` that has no blob means. */
  async refusalOf (digest: Digest, stream: HttpStream): Promise<AppError> {
    const what = this.#what('download', digest)
    const text = await stream.text().catch(() => '')
    if (stream.status === 202) return new AppError('UNAVAILABLE', `${what}: the origin is still fetching it`, { detail: { status: 202 } })
    return refusal(what, { status: stream.status, text })
  }

  async #stat (namespace: string, digest: Digest, query: string, options: CallOptions = {}): Promise<{ sizeBytes: number } | undefined> {
    const path = pathOf(originApi.stat, { namespace, digest }) + query
    const answer = await this.http.call({ method: 'HEAD', address: this.address, path, timeoutMs: LOOKUP_MS, signal: options.signal, isReplaceable: this.isReplaceable })
    if (answer.status === 404) return undefined
    return { sizeBytes: statedSize(must200(this.#what('stat', digest), answer)) }
  }

  async #get (path: string, options: CallOptions = {}): Promise<HttpAnswer> {
    return await this.http.call({ method: 'GET', address: this.address, path, timeoutMs: SHORT_MS, signal: options.signal, isReplaceable: this.isReplaceable })
  }

  async #upload (digest: Digest, content: BlobContent, route: UploadRoute, options: CallOptions = {}): Promise<void> {
    const { http, address, sleep, isReplaceable } = this
    const upload: BlobUpload = { http, address, digest, content, signal: options.signal, sleep, isReplaceable }
    await uploadBlob(upload, route)
  }

  #what (call: string, digest: Digest): string { return `${call} of ${digest} at ${this.address}` }
}

/** An answer of an origin or a tracker to a metainfo request. @throws AppError UNAVAILABLE, or CORRUPT if it is for another blob */
export function metaInfoOf (what: string, digest: Digest, answer: HttpAnswer): MetaInfoAnswer {
  if (answer.status === 202) return { status: 'pending' }
  if (answer.status === 404) return { status: 'unknown' }
  const { metaInfo: text, blob } = splitInlined(what, must200(what, answer).header(INLINE_HEADER), answer.bytes)
  const metaInfo = MetaInfo.parse(text)
  if (metaInfo.name.toLowerCase() !== hexOf(digest).toLowerCase()) throw new AppError('CORRUPT', `${what} is that of ${metaInfo.digest}`)
  const { totalBytes } = metaInfo.lengths
  if (blob !== undefined && blob.length !== totalBytes) throw new AppError('CORRUPT', `${what} comes with ${blob.length} of ${totalBytes} bytes`)
  return { status: 'found', metaInfo, blob }
}

/** Headers that Kraken's servers do not know, and so ignore. */
export function metaInfoHeaders ({ withPieceDigests = false, inlineBytes = 0 }: MetaInfoOptions): Record<string, string> {
  return {
    ...withPieceDigests ? { [PIECE_DIGESTS_HEADER]: 'true' } : {},
    ...inlineBytes > 0 ? { [INLINE_HEADER]: String(inlineBytes) } : {}
  }
}

/** Passes on as many bytes as there must be. @throws AppError NETWORK if there are fewer or more */
export async function * exactly (sizeBytes: number, chunks: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<Uint8Array> {
  let receivedBytes = 0
  for await (const chunk of chunks) {
    receivedBytes += chunk.length
    if (receivedBytes > sizeBytes) throw new AppError('NETWORK', `${what} is longer than its ${sizeBytes} bytes`)
    yield chunk
  }
  if (receivedBytes < sizeBytes) throw new AppError('NETWORK', `${what} ended after ${receivedBytes} of ${sizeBytes} bytes`)
}
