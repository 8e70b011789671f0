import net from 'node:net'

export interface ByteReply {
  readonly status: number
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>
  /** Each character is one byte. */
  readonly body: string
  /** False if the connection ended before the promised length. */
  readonly isComplete: boolean
}

/** An HTTP client that sends exactly the bytes it is told to, for what no library can be made to send. */
export class ByteClient {
  readonly #socket: net.Socket
  #parts: Buffer[] = []
  #receivedBytes = 0
  #isClosed = false
  #wake = (): void => {}

  private constructor (port: number) {
    this.#socket = net.connect(port, '127.0.0.1')
    this.#socket.on('data', (chunk: Buffer) => {
      this.#parts.push(chunk)
      this.#receivedBytes += chunk.length
      this.#wake()
    })
    this.#socket.on('error', () => {})
    this.#socket.on('close', () => {
      this.#isClosed = true
      this.#wake()
    })
  }

  static async connect (port: number): Promise<ByteClient> {
    const client = new ByteClient(port)
    await new Promise(resolve => client.#socket.once('connect', resolve))
    return client
  }

  /** Resolves once the kernel has taken all of it. */
  async write (bytes: string | Uint8Array): Promise<void> {
    await new Promise<void>(resolve => this.#socket.write(bytes, () => resolve()))
  }

  /** Sends a request without a body. */
  async request (method: string, target: string, headers: Readonly<Record<string, string>> = {}): Promise<void> {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
    await this.write(`${method} ${target} HTTP/1.1\r\nHost: test\r\n${lines}\r\n`)
  }

  /** The next reply; `hasBody` false for the reply to a HEAD. Status 0: the connection ended before its head. */
  async reply (hasBody = true): Promise<ByteReply> {
    await this.#until(() => this.#received().includes('\r\n\r\n'))
    const headEnd = this.#received().indexOf('\r\n\r\n')
    if (headEnd === -1) return { status: 0, headers: {}, body: '', isComplete: false }
    const [statusLine = '', ...lines] = this.#received().toString('latin1', 0, headEnd).split('\r\n')
    const headers = Object.fromEntries(lines.map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]))
    const bodyStart = headEnd + 4
    const end = bodyStart + (hasBody ? Number(headers['content-length'] ?? 0) : 0)
    await this.#until(() => this.#receivedBytes >= end)
    const received = this.#received()
    this.#parts = [received.subarray(end)]
    this.#receivedBytes = this.#parts[0]?.length ?? 0
    return { status: Number(statusLine.split(' ')[1]), headers, body: received.toString('latin1', bodyStart, end), isComplete: received.length >= end }
  }

  /** Resolves when the server has closed the connection. */
  async closed (): Promise<void> { await this.#until(() => false) }

  pause (): void { this.#socket.pause() }
  resume (): void { this.#socket.resume() }
  destroy (): void { this.#socket.destroy() }

  #received (): Buffer {
    const all = Buffer.concat(this.#parts)
    this.#parts = [all]
    return all
  }

  /** Waits until something is so, or the connection is closed. */
  async #until (isSo: () => boolean): Promise<void> {
    while (!isSo() && !this.#isClosed) await new Promise<void>(resolve => { this.#wake = resolve })
  }
}

/** One request on a connection of its own. */
export async function exchange (port: number, method: string, target: string, headers?: Readonly<Record<string, string>>): Promise<ByteReply> {
  const client = await ByteClient.connect(port)
  await client.request(method, target, headers)
  const reply = await client.reply(method !== 'HEAD')
  client.destroy()
  return reply
}
