import { connect as connectHttp2, constants } from 'node:http2'
import { connect } from 'node:net'

/*
 * As much of gRPC as one call with one answer takes: a POST over HTTP/2 whose body is a message behind five bytes, a flag
 * and its length; how it went is in the trailers.
 */

const HEADER_BYTES = 5

/** @throws Error with the message of the server */
export async function callGrpc (socket: string, path: string, message: Uint8Array): Promise<Buffer> {
  const session = connectHttp2('http://localhost', { createConnection: () => connect(socket) })
  try {
    return await new Promise((resolve, reject) => {
      session.on('error', reject)
      const stream = session.request({ [constants.HTTP2_HEADER_METHOD]: 'POST', [constants.HTTP2_HEADER_PATH]: path, 'content-type': 'application/grpc', te: 'trailers' })
      const parts: Buffer[] = []
      let failure: string | undefined
      const note = (headers: Readonly<Record<string, unknown>>): void => {
        const status = headers['grpc-status']
        if (status !== undefined && status !== '0') failure = `status ${String(status)}: ${decodeURIComponent(String(headers['grpc-message']))}`
      }
      stream.on('response', note)
      stream.on('trailers', note)
      stream.on('data', (part: Buffer) => parts.push(part))
      stream.on('error', reject)
      stream.on('close', () => {
        if (failure === undefined) resolve(Buffer.concat(parts).subarray(HEADER_BYTES))
        else reject(new Error(failure))
      })
      const header = Buffer.alloc(HEADER_BYTES)
      header.writeUInt32BE(message.length, 1)
      stream.end(Buffer.concat([header, message]))
    })
  } finally {
    session.close()
  }
}

/** A protobuf field of text, shorter than 128 bytes. */
export function writeString (field: number, text: string): Buffer {
  const bytes = Buffer.from(text)
  if (bytes.length > 127) throw new Error(`${text} is too long for a length of one byte`)
  return Buffer.concat([Buffer.from([field << 3 | 2, bytes.length]), bytes])
}

/** The text at the beginning of a protobuf message. */
export function readFirstString (message: Buffer): string { return message.toString('utf8', 2, 2 + message.readUInt8(1)) }
