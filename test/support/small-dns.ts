import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'

const TYPES = { A: 1, AAAA: 28, SRV: 33 } as const
const NO_SUCH_NAME = 3

export interface DnsRecords {
  readonly A?: readonly string[]
  /** Eight groups of hex digits each. */
  readonly AAAA?: readonly string[]
  readonly SRV?: ReadonlyArray<{ readonly name: string, readonly port: number }>
}

/** A name server on loopback, over UDP, that knows what it is told. */
export class SmallDns {
  readonly names = new Map<string, DnsRecords>()
  /** Says nothing, if set. */
  isSilent = false

  private constructor (readonly socket: Socket) {}

  static async start (): Promise<SmallDns> {
    const socket = createSocket('udp4')
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    const dns = new SmallDns(socket)
    socket.on('message', (message, from) => { dns.#answer(message, from) })
    return dns
  }

  get address (): string { return `127.0.0.1:${this.socket.address().port}` }

  async stop (): Promise<void> {
    this.socket.close()
    await once(this.socket, 'close')
  }

  #answer (query: Buffer, { port, address }: RemoteInfo): void {
    if (this.isSilent) return
    const { name, end } = readName(query, 12)
    const type = query.readUInt16BE(end)
    const records = this.names.get(name.toLowerCase())
    const answers = records === undefined ? [] : dataOf(records, type)
    const header = Buffer.alloc(12)
    query.copy(header, 0, 0, 2)
    header.writeUInt16BE(0x8180 | (records === undefined ? NO_SUCH_NAME : 0), 2)
    header.writeUInt16BE(1, 4)
    header.writeUInt16BE(answers.length, 6)
    const question = query.subarray(12, end + 4)
    this.socket.send(Buffer.concat([header, question, ...answers.map(data => record(type, data))]), port, address)
  }
}

/** The data of all records of a type. */
function dataOf ({ A = [], AAAA = [], SRV = [] }: DnsRecords, type: number): Buffer[] {
  switch (type) {
    case TYPES.A: return A.map(ip => Buffer.from(ip.split('.').map(Number)))
    case TYPES.AAAA: return AAAA.map(ip => Buffer.from(ip.split(':').map(group => group.padStart(4, '0')).join(''), 'hex'))
    case TYPES.SRV: return SRV.map(({ name, port }) => {
      const head = Buffer.alloc(6)
      head.writeUInt16BE(port, 4)
      return Buffer.concat([head, written(name)])
    })
    default: return []
  }
}

/** A record of the name that was asked for, which is at byte 12. */
function record (type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12)
  head.writeUInt16BE(0xc00c, 0)
  head.writeUInt16BE(type, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(data.length, 10)
  return Buffer.concat([head, data])
}

function readName (message: Buffer, at: number): { name: string, end: number } {
  const labels: string[] = []
  for (let length = message.readUInt8(at); length > 0; length = message.readUInt8(at)) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.'), end: at + 1 }
}

function written (name: string): Buffer {
  return Buffer.concat([...name.split('.').map(label => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')])), Buffer.from([0])])
}
