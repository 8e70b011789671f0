import { type Http, type HttpStream } from '../../net/client/http.js'
import { type Handler, type HttpRequest, type Reply } from '../../net/http/engine.js'
import { AppError, messageOf } from '../core/errors.js'
import { type Logger } from '../observe/log.js'

/** Of an answer whose length is not stated; such are manifests and lists. */
const BODY_BYTES_MAX = 16 * 1024 * 1024
const REQUEST_HEADERS = ['accept', 'range', 'if-range', 'if-none-match', 'user-agent']
const REPLY_HEADERS = [
  'Content-Type', 'Docker-Content-Digest', 'Docker-Distribution-Api-Version', 'ETag', 'Accept-Ranges', 'Content-Range', 'Cache-Control', 'Link',
  'Location', 'OCI-Filters-Applied'
]

export interface BackupOptions {
  /** `host:port` of a registry that speaks plain HTTP. */
  readonly address: string
  readonly http: Pick<Http, 'open'>
  readonly log: Logger
}

/**
 * Asks another registry for what this one cannot answer: the way in which an agent degrades to a central registry
 * (http-api specification 2.1). If that one cannot either, our own answer stands.
 */
export function withBackup (registry: Handler, options: BackupOptions): Handler {
  return async request => {
    const own = await registry(request)
    const isAskedFor = (own.status === 404 || own.status >= 500) && (request.method === 'GET' || request.method === 'HEAD')
    if (!isAskedFor || request.signal.aborted) return own
    try {
      return await ask(options, request, request.method === 'GET' ? 'GET' : 'HEAD') ?? own
    } catch (error) {
      options.log.warn({ address: options.address, path: request.rawPath.slice(0, 512), error: messageOf(error) }, 'backup registry not asked')
      return own
    }
  }
}

/** @returns undefined if it does not have it either */
async function ask ({ address, http }: BackupOptions, request: HttpRequest, method: 'GET' | 'HEAD'): Promise<Reply | undefined> {
  const path = request.rawQuery === '' ? request.rawPath : `${request.rawPath}?${request.rawQuery}`
  const headers = Object.fromEntries(REQUEST_HEADERS.flatMap(name => {
    const value = request.header(name)
    return value === undefined ? [] : [[name, value]]
  }))
  const answer = await http.open({ method, address, path, headers, signal: request.signal })
  if (answer.status >= 400 && answer.status !== 416) {
    answer.discard()
    return undefined
  }
  const reply = {
    status: answer.status,
    headers: Object.fromEntries(REPLY_HEADERS.flatMap(name => {
      const value = answer.header(name.toLowerCase())
      return value === undefined ? [] : [[name, value]]
    }))
  }
  const { lengthBytes } = answer
  if (method === 'GET' && answer.status !== 304) {
    return { ...reply, body: lengthBytes === undefined ? await collect(answer) : { lengthBytes, chunks: () => answer.chunks() } }
  }
  answer.discard()
  return lengthBytes === undefined ? reply : { ...reply, headLengthBytes: lengthBytes }
}

/** @throws AppError UNAVAILABLE */
async function collect (answer: HttpStream): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let totalBytes = 0
  for await (const chunkView of answer.chunks()) {
    totalBytes += chunkView.length
    if (totalBytes > BODY_BYTES_MAX) throw new AppError('UNAVAILABLE', `the backup registry answered more than ${BODY_BYTES_MAX} bytes without saying how many`)
    parts.push(Buffer.from(chunkView))
  }
  return Buffer.concat(parts)
}
