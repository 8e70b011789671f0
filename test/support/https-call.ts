import { request, type RequestOptions } from 'node:https'
import { type Answer } from './http-call.js'

export type SecureCallOptions = RequestOptions & { readonly body?: Uint8Array | string }

/** One request to a port of 127.0.0.1 over TLS and a connection of its own, by the platform's client. */
export async function callSecurely (port: number, method: string, path: string, { body, ...options }: SecureCallOptions = {}): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const asking = request({ host: '127.0.0.1', port, method, path, agent: false, ...options }, response => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('error', reject)
      response.on('end', () => { resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }) })
    })
    asking.on('error', reject)
    asking.end(body)
  })
}
