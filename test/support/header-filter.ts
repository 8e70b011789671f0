import { createServer, request } from 'node:http'
import { once } from 'node:events'
import { pipeline } from 'node:stream'
import { type Test } from 'tap'
import { must } from './must.js'

/**
 * Passes every request on to a port of 127.0.0.1, without one of its headers: a front that lets nothing through of which it
 * does not know. Runs until the end of the test.
 * @returns the port to send requests to
 */
export async function startHeaderFilter (t: Test, targetPort: number, droppedHeader: string): Promise<number> {
  const server = createServer((incoming, outgoing) => {
    const { [droppedHeader]: _, ...headers } = incoming.headers
    const onward = request({ host: '127.0.0.1', port: targetPort, method: incoming.method, path: incoming.url, headers }, answer => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      pipeline(answer, outgoing, () => {})
    })
    onward.on('error', () => { outgoing.destroy() })
    pipeline(incoming, onward, () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  const address = must(server.address())
  return typeof address === 'string' ? 0 : address.port
}
