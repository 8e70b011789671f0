import fs from 'node:fs'
import net from 'node:net'

/*
 * The baseline of all transfers: what plain Node.js can do between two processes without any protocol, hashing or
 * scheduling. One process reads a file block by block and writes it to a socket, the other reads the socket into one
 * buffer and writes that to a file.
 *
 *   node raw-copy.js serve FILE          prints its port, then serves the file to everyone who connects
 *   node raw-copy.js fetch PORT FILE     prints the milliseconds from the connect to the last byte on disk, once a line on stdin
 */
const BLOCK_BYTES = 1024 * 1024
const BUFFER_BYTES = 4 * 1024 * 1024

const [mode, ...args] = process.argv.slice(2)
if (mode === 'serve') serve(args[0] ?? '')
else if (mode === 'fetch') await fetchOnDemand(Number(args[0]), args[1] ?? '')

function serve (path: string): void {
  const fd = fs.openSync(path, 'r')
  const sizeBytes = fs.fstatSync(fd).size
  const server = net.createServer({ noDelay: true }, socket => {
    const blocks = [Buffer.alloc(BLOCK_BYTES), Buffer.alloc(BLOCK_BYTES)]
    let position = 0
    let isReading = false
    const next = (): void => {
      if (isReading) return
      if (position >= sizeBytes) { socket.end(); return }
      const block = blocks.pop()
      if (block === undefined) return
      isReading = true
      fs.read(fd, block, 0, Math.min(block.length, sizeBytes - position), position, (error, count) => {
        isReading = false
        if (error !== null) { socket.destroy(error); return }
        position += count
        socket.write(block.subarray(0, count), () => { blocks.push(block); next() })
        next()
      })
    }
    socket.on('error', () => {})
    next()
  })
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    process.stdout.write(`${typeof address === 'object' && address !== null ? address.port : 0}\n`)
  })
}

async function fetchOnDemand (port: number, path: string): Promise<void> {
  for await (const line of process.stdin) if (String(line).length > 0) process.stdout.write(`${await fetchOnce(port, path)}\n`)
}

async function fetchOnce (port: number, path: string): Promise<number> {
  const started = performance.now()
  const fd = fs.openSync(path, fs.existsSync(path) ? 'r+' : 'w+')
  const idle = [Buffer.alloc(BUFFER_BYTES), Buffer.alloc(BUFFER_BYTES)]
  let filling = idle.pop() ?? Buffer.alloc(BUFFER_BYTES)
  let filled = 0
  let position = 0
  await new Promise<void>((resolve, reject) => {
    let writing = 0
    let isEnded = false
    const flush = (): void => {
      const full = filling
      writing++
      fs.write(fd, full, 0, filled, position, error => {
        if (error !== null) { reject(error); return }
        writing--
        idle.push(full)
        if (isEnded && writing === 0) resolve()
        else socket.resume()
      })
      position += filled
      filled = 0
      filling = idle.pop() ?? Buffer.alloc(BUFFER_BYTES)
    }
    const callback = (count: number): boolean => {
      filled += count
      if (filled === BUFFER_BYTES) flush()
      return writing < 2
    }
    // The typings want a fixed buffer; a function is asked again after every read.
    const onread = { buffer: () => filling.subarray(filled), callback } as unknown as net.OnReadOpts
    const socket = net.connect({ host: '127.0.0.1', port, noDelay: true, onread })
    socket.resume()
    socket.on('error', reject)
    socket.on('close', () => {
      isEnded = true
      if (filled > 0) flush()
      else if (writing === 0) resolve()
    })
  })
  fs.closeSync(fd)
  return performance.now() - started
}
