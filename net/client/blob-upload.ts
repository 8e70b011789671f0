import { type Digest } from '../../runtime/core/digest.js'
import { AppError } from '../../runtime/core/errors.js'
import { COPY_HEADER, originApi } from '../api/origin.js'
import { pathOf } from '../api/route.js'
import { isNetworkError, isRetryable, refusal } from './answers.js'
import { type BlobContent } from './clients.js'
import { type Http, type HttpAnswer, type HttpCall } from './http.js'
import { pause, type Sleep } from './upstream.js'

/** As Kraken's clients cut it. */
const CHUNK_BYTES = 32 * 1024 * 1024
const START_MS = 60_000
/** A commit may copy the blob to all other owners before it answers. */
const COMMIT_MS = 15 * 60_000
const TRIES = 3
const RETRY_MS = 250

export interface BlobUpload {
  readonly http: Http
  readonly address: string
  readonly digest: Digest
  readonly content: BlobContent
  readonly signal: AbortSignal | undefined
  readonly sleep: Sleep
  /** Whether the blob can go to somebody else, who is then tried sooner. */
  readonly isReplaceable?: boolean
}

/** Where the three calls of an upload go, and what the last one says (http-api specification 5.3). */
export interface UploadRoute {
  /** Sent with every call. */
  readonly headers?: Readonly<Record<string, string>>
  readonly start: string
  patch (uid: string): string
  commit (uid: string): { readonly path: string, readonly body?: string }
}

/** By a client of the cluster: the origin stores, writes back and replicates. */
export function publicUpload (namespace: string, digest: Digest): UploadRoute {
  return {
    start: pathOf(originApi.startUpload, { namespace, digest }),
    patch: uid => pathOf(originApi.patchUpload, { namespace, digest, uid }),
    commit: uid => ({ path: pathOf(originApi.commitUpload, { namespace, digest, uid }) })
  }
}

/** From origin to origin after a public upload: the write-back waits for `delayMs`. */
export function duplicateUpload (namespace: string, digest: Digest, delayMs: number): UploadRoute {
  return {
    ...publicUpload(namespace, digest),
    headers: { [COPY_HEADER]: 'true' },
    commit: uid => ({
      path: pathOf(originApi.commitDuplicate, { namespace, digest, uid }),
      body: `{"Delay":${BigInt(Math.round(delayMs)) * 1_000_000n}}`
    })
  }
}

/** From origin to origin after a fetch from the backend: nothing is written back. */
export function transferUpload (digest: Digest): UploadRoute {
  return {
    start: pathOf(originApi.startTransfer, { digest }),
    patch: uid => pathOf(originApi.patchTransfer, { digest, uid }),
    commit: uid => ({ path: pathOf(originApi.commitTransfer, { digest, uid }) })
  }
}

/**
 * Uploads a blob to one origin. Starts and chunks are tried again after network errors and 429, 502, 503 and 504, each time
 * from their first byte. A commit is not, because it may have happened: the upload is started anew instead, and an origin
 * that has the blob by now says 409, which is success wherever it comes.
 * @throws AppError DIGEST_MISMATCH if the origin computed another digest; what `isRetryable` knows if another origin may do better
 */
export async function uploadBlob (upload: BlobUpload, route: UploadRoute): Promise<void> {
  const uid = await startUpload(upload, route)
  if (uid === undefined) return
  const { sizeBytes } = upload.content
  for (let offset = 0; offset < sizeBytes; offset += CHUNK_BYTES) {
    const end = Math.min(offset + CHUNK_BYTES, sizeBytes)
    if (!await sendChunk(upload, route, uid, offset, end)) return
  }
  await commitUpload(upload, route, uid)
}

/** @returns the id of the upload, or undefined if the origin has the blob */
async function startUpload (upload: BlobUpload, route: UploadRoute): Promise<string | undefined> {
  const path = `${route.start}?size=${upload.content.sizeBytes}`
  const answer = await persist(upload, () => ({ method: 'POST', path, headers: route.headers, body: '', timeoutMs: START_MS }))
  if (answer.status === 409) return undefined
  const uid = answer.header('location') ?? ''
  if (answer.status !== 200) throw refusal(whatOf(upload, 'start of the upload'), answer)
  if (uid === '' || uid.length > 256) throw new AppError('UNAVAILABLE', `${whatOf(upload, 'start of the upload')} gave no upload id`)
  return uid
}

/** @returns false if the origin has got the blob meanwhile */
async function sendChunk (upload: BlobUpload, route: UploadRoute, uid: string, offset: number, end: number): Promise<boolean> {
  const lengthBytes = end - offset
  const answer = await persist(upload, () => ({
    method: 'PATCH',
    path: route.patch(uid),
    headers: { ...route.headers, 'Content-Range': `${offset}-${end}` },
    body: { lengthBytes, chunks: upload.content.read(offset, lengthBytes) }
  }))
  if (answer.status === 409) return false
  if (answer.status !== 200) throw refusal(whatOf(upload, `chunk ${offset}-${end}`), answer)
  return true
}

async function commitUpload (upload: BlobUpload, route: UploadRoute, uid: string): Promise<void> {
  const { http, address, signal } = upload
  const { path, body = '' } = route.commit(uid)
  try {
    const answer = await http.call({ address, method: 'PUT', path, headers: route.headers, body, signal, isReplaceable: upload.isReplaceable, idleMs: COMMIT_MS, timeoutMs: COMMIT_MS })
    if (answer.status !== 200 && answer.status !== 409) throw commitRefusal(whatOf(upload, 'commit'), answer)
  } catch (error) {
    // Whoever comes next may have got the blob by this very commit, and says so.
    if (!isRetryable(error) || isLost(upload, error) || await startUpload(upload, route) !== undefined) throw error
  }
}

/** Kraken answers a wrong digest with 500 and our origins with 400; only the text tells it from other failures. */
function commitRefusal (what: string, answer: HttpAnswer): AppError {
  if (!/verify digest|digest mismatch|doesn't match expected/i.test(answer.text)) return refusal(what, answer)
  return new AppError('DIGEST_MISMATCH', `${what}: ${answer.text.slice(0, 500)}`)
}

/** Makes a call up to three times; the body is read anew for each. @returns the last answer, whatever its status */
async function persist (upload: BlobUpload, call: () => Omit<HttpCall, 'address'>): Promise<HttpAnswer> {
  const { http, address, sleep, signal, isReplaceable } = upload
  for (let tried = 1; ; tried++) {
    try {
      const answer = await http.call({ ...call(), address, signal, isReplaceable })
      if (tried === TRIES || !isRetryable(refusal('', answer))) return answer
    } catch (error) {
      if (tried === TRIES || !isRetryable(error) || isLost(upload, error)) throw error
    }
    await pause(sleep, RETRY_MS, signal)
  }
}

/** Another try at the same host would only take time that the next one could use. */
function isLost ({ isReplaceable }: BlobUpload, error: unknown): boolean { return isReplaceable === true && isNetworkError(error) }

function whatOf ({ address, digest }: BlobUpload, step: string): string { return `${step} of ${digest} at ${address}` }
