import { type HttpRequest, type Reply, type RequestBody } from '../../../net/http/engine.js'
import { AppError } from '../../../runtime/core/errors.js'

export interface FakeRequest {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string
  /** The client goes away when the whole body given here has been read. */
  readonly breaksOff?: boolean
  /** Bytes per chunk; default 1000. */
  readonly chunkBytes?: number
  /** Awaited before the first chunk of the body. */
  readonly held?: Promise<void>
  readonly signal?: AbortSignal
}

/** A request as the engine hands it to handlers; a Content-Length is not added. */
export function fakeRequest (method: string, target: string, options: FakeRequest = {}): HttpRequest {
  const at = target.indexOf('?')
  const gone = new AbortController()
  const headers = new Map(Object.entries(options.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]))
  return {
    method,
    rawPath: at === -1 ? target : target.slice(0, at),
    rawQuery: at === -1 ? '' : target.slice(at + 1),
    header: name => headers.get(name),
    remoteAddress: '127.0.0.1',
    signal: options.signal ?? gone.signal,
    body: fakeBody(options, gone)
  }
}

/** All bytes of a reply. */
export async function bytesOf (reply: Reply): Promise<Buffer> {
  const { body } = reply
  if (body === undefined) return Buffer.alloc(0)
  if (typeof body === 'string' || body instanceof Uint8Array) return Buffer.from(body)
  const parts: Buffer[] = []
  for await (const chunk of body.chunks()) parts.push(Buffer.from(chunk))
  return Buffer.concat(parts)
}

function fakeBody ({ body = '', breaksOff = false, chunkBytes = 1000, held }: FakeRequest, gone: AbortController): RequestBody {
  const bytes = Buffer.from(body)
  const leave = (): void => {
    if (!breaksOff) return
    gone.abort()
    throw new AppError('CANCELLED', 'the client went away')
  }
  return {
    bytes: async bytesMax => {
      await held
      if (bytes.length > bytesMax) throw new AppError('BODY_TOO_LARGE', `the body has more than ${bytesMax} bytes`)
      leave()
      return bytes
    },
    pipe: async sink => {
      await held
      for (let at = 0; at < bytes.length; at += chunkBytes) {
        // Lent for one call only: what is kept without a copy turns to rubbish.
        const lent = Buffer.from(bytes.subarray(at, at + chunkBytes))
        await sink.write(lent)
        lent.fill(0xdb)
      }
      leave()
      return bytes.length
    }
  }
}
