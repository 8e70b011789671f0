import net from 'node:net'

/*
 * A client that costs next to nothing, in a process of its own, so that what is measured is the server:
 *
 *   node http-reader.js       each line on stdin is `PORT PATH`; the answer is a line `STATUS BODY-BYTES` when all of the body is read
 */
const BUFFER_BYTES = 1024 * 1024
const HEAD_BYTES_MAX = 64 * 1024

for await (const line of process.stdin) {
  const [port = '', path = ''] = String(line).trim().split(' ')
  process.stdout.write(`${await read(Number(port), path)}\n`)
}

async function read (port: number, path: string): Promise<string> {
  let head = ''
  let bodyBytes = 0
  let isBody = false
  const callback = (count: number, buffer: Uint8Array): boolean => {
    if (isBody) {
      bodyBytes += count
      return true
    }
    head += Buffer.from(buffer.buffer, buffer.byteOffset, count).toString('latin1')
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) return head.length < HEAD_BYTES_MAX
    bodyBytes = head.length - end - 4
    isBody = true
    return true
  }
  await new Promise<void>((resolve, reject) => {
    const socket = net.connect({ host: '127.0.0.1', port, onread: { buffer: Buffer.alloc(BUFFER_BYTES), callback } })
    socket.on('error', reject)
    socket.on('close', () => { resolve() })
    socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n`)
  })
  return `${head.split(' ')[1] ?? '0'} ${bodyBytes}`
}
