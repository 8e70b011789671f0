import { testfsApi } from '../../../net/api/testfs.js'
import { type Handler, type HttpServer } from '../../../net/http/engine.js'
import { fileBody } from '../../../net/http/file-body.js'
import { rangeReply } from '../../../net/http/range.js'
import { json, ok, sniffType, text, TEXT_TYPE } from '../../../net/http/reply.js'
import { createRouter } from '../../../net/http/router.js'
import { listen } from '../../../net/http/uws.js'
import { messageOf } from '../../core/errors.js'
import { type Logger, noLog } from '../../observe/log.js'
import { TestFiles } from './files.js'

const FILE_BYTES_MAX = 2 ** 40

export interface TestfsOptions {
  /** 0 for a free one. */
  readonly port: number
  /** Folder of the files; made if it is not there. */
  readonly root: string
  readonly host?: string
  readonly log?: Logger
}

/** Starts the file server for development and tests: no authentication, no durability. @throws AppError UNAVAILABLE */
export async function startTestfs ({ port, root, host, log = noLog }: TestfsOptions): Promise<HttpServer> {
  const onFailure = (error: unknown, event: string): void => { log.warn({ error: messageOf(error) }, event) }
  const handler = testfsHandler(new TestFiles(root), log)
  return await listen(handler, { port, bodyBytesMax: FILE_BYTES_MAX, onFailure, ...host === undefined ? {} : { host } })
}

/** The HTTP surface (http-api specification 10). */
function testfsHandler (files: TestFiles, log: Logger): Handler {
  const router = createRouter({ component: 'testfs', misses: 'not-found', log })
  router.on(testfsApi.health, () => text('OK'))
  router.on(testfsApi.stat, async (_, { '*': path }) => {
    const found = await files.stat(path)
    // The size is in a header of its own, and nowhere else.
    return found === undefined ? { status: 404 } : { status: 200, headers: { Size: String(found.sizeBytes) } }
  })
  router.on(testfsApi.download, async (request, { '*': path }) => {
    const found = await files.stat(path)
    if (found === undefined) return { status: 404 }
    const { path: file, sizeBytes } = found
    const headers = { 'Content-Type': sniffType(await files.start(file)) }
    // Whole files are answered as the reference does, parts as everybody else does.
    if (request.header('range') === undefined) return { status: 200, headers, body: fileBody(file, 0, sizeBytes) }
    return rangeReply({ request, sizeBytes, headers, body: range => fileBody(file, range.offset, range.lengthBytes) })
  })
  router.on(testfsApi.upload, async (request, { '*': path }) => {
    await files.write(path, async file => {
      await request.body.pipe({ write: async chunkView => { await file.appendFile(Buffer.from(chunkView)) } })
    })
    return ok()
  })
  router.on(testfsApi.list, async (_, { '*': prefix }) => {
    const names = await files.list(prefix)
    if (names === undefined) return text(`walk: lstat ${files.root}/${prefix}: no such file or directory`, 500)
    return json(names.length === 0 ? null : names, { newline: true, type: TEXT_TYPE })
  })
  return router.handle
}
