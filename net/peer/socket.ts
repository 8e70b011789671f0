import net from 'node:net'

/*
 * The one file that knows how to make Node read from a socket straight into memory of our choosing. `net.Socket` offers
 * that (`onread`) for sockets that we create; for accepted ones the handle is taken over and put into a new socket, since
 * `net.Server` has no such option. Where the handle cannot be taken, bytes arrive in Node's own buffers and are copied.
 */

/** The side that gets the bytes. Everything is called synchronously, from the event loop of the socket's thread. */
export interface ByteReceiver {
  /** Where the next read goes: at least one byte of room. Asked again after every read. */
  nextBuffer (): Uint8Array
  /** `count` bytes have arrived at the beginning of the buffer given last. False stops the reading until `resume`. */
  received (count: number): boolean
  /** No more bytes will come, in or out; called once. */
  closed (error: Error | undefined): void
}

/** Called when the kernel has taken the bytes, or with the error that prevents it for ever. */
export type Written = (error?: Error | null) => void

/** A connected socket that reads into the receiver's buffers and writes views without copying them. */
export interface PeerSocket {
  readonly remoteAddress: string
  /** The view must stay as it is until `written` is called; errors surface as `closed`. */
  write (view: Uint8Array, written?: Written): void
  /** Sends two views in one system call where the platform can; `written` is for both. */
  writePair (first: Uint8Array, second: Uint8Array, written?: Written): void
  /** Bytes handed to `write` that the kernel has not taken yet. */
  readonly pendingBytes: number
  resume (): void
  /** Cuts the connection; `closed` follows. */
  destroy (): void
}

/** Connects, or reports `closed` on the receiver; `connected` is called once if it works. */
export function dial (host: string, port: number, timeoutMs: number, receiver: ByteReceiver, connected: () => void): PeerSocket {
  // A connection in progress is ended by this timer, since neither connect() nor the socket's idle timeout has a bound.
  const timer = setTimeout(() => socket.destroy(new Error(`no connection to ${host}:${port} within ${timeoutMs} ms`)), timeoutMs)
  const socket = net.connect({ host, port, noDelay: true, keepAlive: true, onread: onreadFor(receiver) })
  socket.once('connect', () => {
    clearTimeout(timer)
    connected()
  })
  socket.once('close', () => clearTimeout(timer))
  return wrap(socket, receiver)
}

export interface PeerListener {
  readonly port: number
  close (): Promise<void>
}

/**
 * Listens on all IPv4 interfaces. `accepted` is called with the remote address and returns what receives the bytes;
 * `attach` then hands over the socket, before any byte is read.
 */
export async function listen (
  port: number,
  accepted: () => { receiver: ByteReceiver, attach: (socket: PeerSocket) => void } | undefined,
  host = '0.0.0.0'
): Promise<PeerListener> {
  const server = net.createServer({ pauseOnConnect: true, noDelay: true, keepAlive: true }, incoming => {
    const taker = accepted()
    if (taker === undefined) {
      incoming.destroy()
      return
    }
    const socket = takeOver(incoming, taker.receiver)
    taker.attach(wrap(socket, taker.receiver))
    socket.resume()
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host, backlog: 1024 }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  // A failed accept (no descriptors left) must not bring the process down; the dialler tries again.
  server.on('error', () => {})
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    close: () => new Promise(resolve => server.close(() => resolve()))
  }
}

/** What Node keeps behind a socket; not in its typings. */
interface Handle { reading: boolean }
interface WithHandle { _handle: Handle | null }

function takeOver (incoming: net.Socket, receiver: ByteReceiver): net.Socket {
  const inner: WithHandle = incoming as unknown as WithHandle
  const handle = inner._handle
  if (handle === null || typeof handle !== 'object' || !('useUserBuffer' in handle)) {
    incoming.on('data', chunk => copyInto(receiver, incoming, chunk))
    return incoming
  }
  inner._handle = null
  incoming.destroy()
  handle.reading = false
  const options: net.SocketConstructorOpts & { handle: Handle, onread: net.OnReadOpts } = { handle, onread: onreadFor(receiver) }
  return new net.Socket(options)
}

function onreadFor (receiver: ByteReceiver): net.OnReadOpts {
  // Node's typings want the buffer to be fixed; a function is documented and asked again after every read.
  const buffer: () => Uint8Array = () => receiver.nextBuffer()
  return { buffer, callback: (count: number) => receiver.received(count) } as unknown as net.OnReadOpts
}

/** The fall-back: the chunk is cut to the sizes that the receiver asks for. */
function copyInto (receiver: ByteReceiver, socket: net.Socket, chunk: Buffer): void {
  for (let at = 0; at < chunk.length && !socket.destroyed;) {
    const target = receiver.nextBuffer()
    const count = Math.min(target.length, chunk.length - at)
    target.set(chunk.subarray(at, at + count))
    at += count
    if (!receiver.received(count)) {
      socket.pause()
      if (at < chunk.length) socket.unshift(chunk.subarray(at))
      return
    }
  }
}

function wrap (socket: net.Socket, receiver: ByteReceiver): PeerSocket {
  let failure: Error | undefined
  const remoteAddress = socket.remoteAddress ?? ''
  socket.on('error', error => { failure ??= error })
  socket.once('end', () => socket.destroy())
  socket.once('close', () => receiver.closed(failure))
  // Without it the end of the stream is never noticed: bytes bypass the stream, but its end does not.
  socket.resume()
  return {
    remoteAddress,
    get pendingBytes () { return socket.writableLength },
    write: (view, written) => { socket.write(view, written) },
    writePair: (first, second, written) => {
      socket.cork()
      socket.write(first)
      socket.write(second, written)
      socket.uncork()
    },
    resume: () => { socket.resume() },
    destroy: () => { socket.destroy() }
  }
}
