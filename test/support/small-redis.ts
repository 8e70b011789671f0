import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { must } from './must.js'

type Reply = string | number | null | readonly Reply[] | Error

/**
 * A Redis on loopback and in memory, as far as sets, their expiry and a client's first questions go: the protocol of version
 * 2, pipelined or not, cut anywhere. Time is handed in. It can fall silent, and be stopped and started again on its port.
 */
export class SmallRedis {
  readonly sets = new Map<string, { readonly members: Set<string>, expiresAt: number }>()
  /** All commands but a client's first questions, as they came. */
  readonly commands: string[] = []
  /** Says nothing any more, though it takes connections. */
  isSilent = false
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  port = 0

  private constructor (readonly nowMs: () => number) {}

  static async start (nowMs: () => number = Date.now): Promise<SmallRedis> {
    const redis = new SmallRedis(nowMs)
    await redis.start()
    return redis
  }

  get address (): string { return `127.0.0.1:${this.port}` }

  async start (): Promise<void> {
    const server = createServer(socket => { this.#serve(socket) })
    server.listen(this.port, '127.0.0.1')
    await once(server, 'listening')
    const address = must(server.address())
    this.port = typeof address === 'string' ? 0 : address.port
    this.#server = server
  }

  /** May be called twice. */
  async stop (): Promise<void> {
    const server = this.#server
    if (server === undefined) return
    this.#server = undefined
    for (const socket of this.#sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  }

  #serve (socket: Socket): void {
    let rest = Buffer.alloc(0)
    this.#sockets.add(socket)
    socket.on('close', () => { this.#sockets.delete(socket) })
    socket.on('error', () => {})
    socket.on('data', chunk => {
      rest = Buffer.concat([rest, Buffer.from(chunk)])
      for (let parsed = parseCommand(rest); parsed !== undefined; parsed = parseCommand(rest)) {
        rest = rest.subarray(parsed.lengthBytes)
        const reply = this.#answer(parsed.words)
        if (!this.isSilent) socket.write(encode(reply))
      }
    })
  }

  #answer (words: readonly string[]): Reply {
    const [name = '', key = '', ...rest] = words
    switch (name.toUpperCase()) {
      case 'INFO': return 'redis_version:7.0.0\r\nloading:0\r\n'
      case 'CLIENT':
      case 'SELECT': return 'OK'
      case 'PING': return 'PONG'
    }
    this.commands.push(words.join(' '))
    switch (name.toUpperCase()) {
      case 'SADD': return this.#sadd(key, rest)
      case 'SREM': return this.#remove(key, rest)
      case 'SCARD': return this.#live(key)?.size ?? 0
      case 'EXPIREAT': return this.#expireAt(key, Number(rest[0]))
      case 'SRANDMEMBER': return this.#random(key, Number(rest[0]))
      case 'SPOP': {
        const popped = this.#random(key, Number(rest[0]))
        this.#remove(key, popped)
        return popped
      }
      default: return new Error(`ERR unknown command '${name}'`)
    }
  }

  #sadd (key: string, members: readonly string[]): number {
    const live = this.#live(key)
    const set = live ?? new Set<string>()
    if (live === undefined) this.sets.set(key, { members: set, expiresAt: Infinity })
    const before = set.size
    for (const member of members) set.add(member)
    return set.size - before
  }

  #remove (key: string, members: readonly string[]): number {
    const set = this.#live(key)
    const removed = members.filter(member => set?.delete(member)).length
    if (set?.size === 0) this.sets.delete(key)
    return removed
  }

  #expireAt (key: string, seconds: number): number {
    const entry = this.#live(key) === undefined ? undefined : this.sets.get(key)
    if (entry === undefined) return 0
    entry.expiresAt = seconds * 1000
    return 1
  }

  /** In the order of the set, which is random enough for whoever draws again. */
  #random (key: string, count: number): string[] { return [...this.#live(key) ?? []].slice(0, count) }

  #live (key: string): Set<string> | undefined {
    const entry = this.sets.get(key)
    if (entry === undefined || entry.expiresAt > this.nowMs()) return entry?.members
    this.sets.delete(key)
    return undefined
  }
}

/** The first whole command of `bytes`, if there is one: an array of bulk strings. */
function parseCommand (bytes: Buffer): { words: string[], lengthBytes: number } | undefined {
  let at = 0
  const line = (): string | undefined => {
    const end = bytes.indexOf('\r\n', at)
    if (end < 0) return undefined
    const text = bytes.toString('latin1', at, end)
    at = end + 2
    return text
  }
  const head = line()
  if (head === undefined) return undefined
  if (!head.startsWith('*')) throw new Error(`expected a command, got ${head}`)
  const words: string[] = []
  for (let left = Number(head.slice(1)); left > 0; left--) {
    const size = line()
    if (size === undefined) return undefined
    const lengthBytes = Number(size.slice(1))
    if (bytes.length < at + lengthBytes + 2) return undefined
    words.push(bytes.toString('utf8', at, at + lengthBytes))
    at += lengthBytes + 2
  }
  return { words, lengthBytes: at }
}

function encode (reply: Reply): string {
  if (reply === null) return '$-1\r\n'
  if (reply instanceof Error) return `-${reply.message}\r\n`
  if (typeof reply === 'number') return `:${reply}\r\n`
  if (typeof reply === 'string') return reply === 'OK' || reply === 'PONG' ? `+${reply}\r\n` : `$${Buffer.byteLength(reply)}\r\n${reply}\r\n`
  return `*${reply.length}\r\n${reply.map(encode).join('')}`
}
