import { type IncomingHttpHeaders, request } from 'node:http'

export interface RawAnswer { readonly status: number, readonly headers: IncomingHttpHeaders, readonly body: string }

/**
 * One request over a connection of its own. The path goes out exactly as it is given, and a body goes with any method; a
 * Content-Length goes with a body and with the methods that usually have one.
 */
export async function rawRequest (
  port: number, method: string, path: string, body?: string, headers: Record<string, string> = {}
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const length = body !== undefined || /^P/.test(method) ? { 'Content-Length': String(Buffer.byteLength(body ?? '')) } : {}
    const call = request({ host: '127.0.0.1', port, method, path, agent: false, headers: { ...length, ...headers } }, response => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('error', reject)
      response.on('end', () => { resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts).toString() }) })
    })
    call.on('error', reject)
    call.end(body)
  })
}
