import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { must } from './must.js'

export interface RelayOptions {
  /** What is replaced in all that comes back, by texts of the same length: addresses, as a gateway does it. */
  readonly translations?: ReadonlyArray<readonly [from: string, to: string]>
  /** Told of the bytes that have gone to the target so far. */
  readonly onForward?: (forwardedBytes: number) => void
  /** Told of a connection that was refused because the relay is cut. */
  readonly onRefuse?: () => void
}

/** A port of 127.0.0.1 that leads to another one, until it is cut. */
export class Relay {
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  #forwardedBytes = 0
  #isCut = false

  private constructor (readonly server: Server, readonly port: number, readonly targetPort: number, readonly options: RelayOptions) {}

  static async start (targetPort: number, options: RelayOptions = {}): Promise<Relay> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = must(server.address())
    const relay = new Relay(server, typeof address === 'string' ? 0 : address.port, targetPort, options)
    server.on('connection', socket => { relay.#accept(socket) })
    return relay
  }

  get address (): string { return `127.0.0.1:${this.port}` }

  /** Breaks all connections, in the middle of whatever they carry, and refuses new ones. */
  cut (): void {
    this.#isCut = true
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy()
    this.#pairs.clear()
  }

  mend (): void { this.#isCut = false }

  async close (): Promise<void> {
    this.cut()
    this.server.close()
    await once(this.server, 'close')
  }

  #accept (client: Socket): void {
    client.on('error', () => {})
    if (this.#isCut) {
      client.destroy()
      this.options.onRefuse?.()
      return
    }
    const target = connect({ host: '127.0.0.1', port: this.targetPort })
    target.on('error', () => {})
    const pair = [client, target] as const
    this.#pairs.add(pair)
    const end = (): void => {
      this.#pairs.delete(pair)
      client.destroy()
      target.destroy()
    }
    client.on('close', end)
    target.on('close', end)
    pump(client, target, chunk => {
      this.#forwardedBytes += chunk.length
      this.options.onForward?.(this.#forwardedBytes)
      return chunk
    })
    pump(target, client, chunk => this.#translated(chunk))
  }

  #translated (chunk: Buffer): Buffer {
    const { translations = [] } = this.options
    return translations.reduce((bytes, [from, to]) => bytes.includes(from) ? Buffer.from(bytes.toString('latin1').replaceAll(from, to), 'latin1') : bytes, chunk)
  }
}

function pump (source: Socket, target: Socket, pass: (chunk: Buffer) => Buffer): void {
  source.on('data', chunk => {
    const passed = pass(Buffer.from(chunk))
    if (target.destroyed) return
    if (!target.write(passed)) {
      source.pause()
      target.once('drain', () => { source.resume() })
    }
  })
  source.on('end', () => { target.end() })
}
