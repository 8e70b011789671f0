import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { type BodySource } from '../../../net/http/engine.js'
import { fileBody } from '../../../net/http/file-body.js'
import { isAppError } from '../../../runtime/core/errors.js'
import { pattern } from '../../support/pattern.js'

const BLOCK_BYTES = 256 * 1024

async function collect (body: BodySource): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const chunk of body.chunks()) {
    parts.push(Buffer.from(chunk))
    // What was handed out may be overwritten from now on; a reader that kept the view would see this.
    chunk.fill(0xee)
  }
  return Buffer.concat(parts)
}

t.test('any part of a file comes back as it is', async t => {
  const path = join(t.testdir(), 'blob')
  const content = pattern(3 * BLOCK_BYTES + 17)
  await writeFile(path, content)
  for (const [offset, lengthBytes] of [
    [0, content.length], [0, 0], [0, 1], [5, BLOCK_BYTES], [1, 2 * BLOCK_BYTES], [BLOCK_BYTES - 1, BLOCK_BYTES + 2], [content.length - 1, 1]
  ] as const) {
    const expected = Buffer.from(content.subarray(offset, offset + lengthBytes))
    t.ok((await collect(fileBody(path, offset, lengthBytes))).equals(expected), `path, ${lengthBytes} at ${offset}`)
    t.ok((await collect(fileBody(await open(path), offset, lengthBytes))).equals(expected), `handle, ${lengthBytes} at ${offset}`)
  }
})

t.test('a file that is shorter than promised is an error, a missing one too', async t => {
  const path = join(t.testdir(), 'blob')
  await writeFile(path, 'short')
  const caught = async (body: BodySource): Promise<unknown> => await collect(body).catch((error: unknown) => error)
  t.ok(isAppError(await caught(fileBody(path, 0, 6)), 'CORRUPT'))
  t.ok(isAppError(await caught(fileBody(join(path, 'nothing'), 0, 6)), 'STORAGE'))
})

t.test('the handle is closed on every path', async t => {
  const path = join(t.testdir(), 'blob')
  await writeFile(path, pattern(4 * BLOCK_BYTES))
  const uses: ReadonlyArray<(body: BodySource) => Promise<unknown>> = [
    async body => await collect(body),
    async body => { for await (const chunk of body.chunks()) if (chunk.length > 0) break },
    async body => await body.chunks()[Symbol.asyncIterator]().return?.(),
    async body => {
      const reading = body.chunks()[Symbol.asyncIterator]()
      const first = reading.next()
      await reading.return?.()
      t.equal((await first).done, true)
      t.equal((await reading.next()).done, true)
    }
  ]
  for (const use of uses) {
    const file = await open(path)
    await use(fileBody(file, 0, 4 * BLOCK_BYTES))
    t.equal(file.fd, -1)
  }
  const file = await open(path)
  await collect(fileBody(file, 0, 5 * BLOCK_BYTES)).catch(() => {})
  t.equal(file.fd, -1)
})
