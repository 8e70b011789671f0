import { type Test } from 'tap'
import { type Handler, type Reply } from '../../net/http/engine.js'
import { listen } from '../../net/http/uws.js'

/** What a server was asked, body included. */
export interface Asked {
  readonly method: string
  /** Path and query, undecoded. */
  readonly target: string
  readonly body: Buffer
  header (name: string): string | undefined
}

/** A server of a few lines, on a free port of loopback until the test is over. */
export interface SmallServer {
  readonly address: string
  readonly port: number
  /** All requests in the order in which they were complete, as `METHOD target`. */
  readonly journal: string[]
  close (): Promise<void>
}

/** Answers with what `answer` returns once the whole body of a request is there. */
export async function smallServer (t: Test, answer: (asked: Asked) => Reply | Promise<Reply>): Promise<SmallServer> {
  const journal: string[] = []
  const handler: Handler = async request => {
    const target = request.rawPath + (request.rawQuery === '' ? '' : `?${request.rawQuery}`)
    const body = Buffer.from(await request.body.bytes(256 * 1024 * 1024))
    journal.push(`${request.method} ${target}`)
    return await answer({ method: request.method, target, body, header: name => request.header(name) })
  }
  const server = await listen(handler, { host: '127.0.0.1', port: 0, bodyBytesMax: 256 * 1024 * 1024 })
  const close = async (): Promise<void> => { await server.close(0) }
  t.teardown(close)
  return { address: `127.0.0.1:${server.port}`, port: server.port, journal, close }
}

/** An address on which nobody listens. */
export async function deadAddress (t: Test): Promise<string> {
  const server = await smallServer(t, () => ({ status: 200 }))
  await server.close()
  return server.address
}
