import { createHash, createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { must } from './must.js'

export const S3_KEYS = { accessKeyId: 'AKTEST', secretAccessKey: 'top/secret+key' }
const PART_BYTES_MIN = 5 * 2 ** 20
const REGION = 'us-east-1'

interface Upload { readonly key: string, readonly parts: Map<number, { readonly bytes: Buffer, readonly etag: string }> }

/**
 * A small S3 on loopback and in memory, path style, one bucket: whole objects, parts, ranges, lists in pages. It checks
 * signatures, lengths and part rules, and refuses what it does not know instead of guessing.
 */
export class StrictS3 {
  readonly objects = new Map<string, Buffer>()
  readonly uploads = new Map<string, Upload>()
  readonly requests: string[] = []
  /** Says what happens to a request, by `METHOD /path?query`: a status to fail with, or how many bytes of its body to send. */
  interfere: (request: string) => { readonly status: number } | { readonly cutAt: number } | undefined = () => undefined
  #count = 0

  private constructor (readonly server: Server, readonly port: number, readonly bucket: string) {}

  static async start (bucket: string): Promise<StrictS3> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = must(server.address())
    const s3 = new StrictS3(server, typeof address === 'string' ? 0 : address.port, bucket)
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      s3.#serve(request, response).catch((error: unknown) => {
        if (!response.headersSent) refuse(response, 500, 'InternalError', String(error))
        else response.destroy()
      })
    })
    return s3
  }

  get endpoint (): string { return `http://127.0.0.1:${this.port}` }

  async stop (): Promise<void> {
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, 'close')
  }

  async #serve (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url: target = '' } = request
    const url = new URL(target, this.endpoint)
    this.requests.push(`${method} ${target}`)
    const whim = this.interfere(`${method} ${target}`)
    if (!isSigned(request, url)) return refuse(response, 403, 'SignatureDoesNotMatch', 'the signature does not match')
    if (whim !== undefined && 'status' in whim) {
      request.resume()
      return refuse(response, whim.status, whim.status === 503 ? 'SlowDown' : 'InternalError', 'as the test wants it')
    }
    const path = decodeURIComponent(url.pathname)
    if (path !== `/${this.bucket}` && path !== `/${this.bucket}/` && !path.startsWith(`/${this.bucket}/`)) return refuse(response, 404, 'NoSuchBucket', path)
    const key = path.slice(this.bucket.length + 2)
    const query = url.searchParams
    switch (method) {
      case 'HEAD': case 'GET':
        if (key === '') return this.#list(query, response)
        return this.#read(request, key, response, whim)
      case 'PUT': return await this.#write(request, key, query, response)
      case 'POST': return await this.#post(request, key, query, response)
      case 'DELETE':
        if (!this.uploads.delete(query.get('uploadId') ?? '')) return refuse(response, 404, 'NoSuchUpload', key)
        response.writeHead(204).end()
        return
      default: refuse(response, 405, 'MethodNotAllowed', method)
    }
  }

  #read (request: IncomingMessage, key: string, response: ServerResponse, whim: { readonly cutAt: number } | undefined): void {
    const object = this.objects.get(key)
    if (object === undefined) return refuse(response, 404, 'NoSuchKey', key, request.method === 'HEAD')
    const [, first] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? []
    const start = Number(first ?? 0)
    if (first !== undefined && start >= object.length) return refuse(response, 416, 'InvalidRange', key)
    const body = object.subarray(start)
    response.writeHead(first === undefined ? 200 : 206, {
      'Content-Length': body.length,
      ETag: etagOf(object),
      ...first === undefined ? {} : { 'Content-Range': `bytes ${start}-${object.length - 1}/${object.length}` }
    })
    if (request.method === 'HEAD') response.end()
    else if (whim === undefined) response.end(body)
    else response.write(body.subarray(0, whim.cutAt), () => { response.destroy() })
  }

  async #write (request: IncomingMessage, key: string, query: URLSearchParams, response: ServerResponse): Promise<void> {
    const length = request.headers['content-length']
    if (length === undefined || request.headers['content-encoding'] === 'aws-chunked') return refuse(response, 411, 'MissingContentLength', key)
    const bytes = await bodyOf(request)
    if (bytes.length !== Number(length)) return refuse(response, 400, 'IncompleteBody', key)
    const etag = etagOf(bytes)
    const id = query.get('uploadId')
    if (id === null) {
      this.objects.set(key, bytes)
    } else {
      const upload = this.uploads.get(id)
      const number = Number(query.get('partNumber'))
      if (upload?.key !== key) return refuse(response, 404, 'NoSuchUpload', key)
      if (!Number.isInteger(number) || number < 1 || number > 10_000) return refuse(response, 400, 'InvalidArgument', 'partNumber')
      upload.parts.set(number, { bytes, etag })
    }
    response.writeHead(200, { ETag: etag }).end()
  }

  async #post (request: IncomingMessage, key: string, query: URLSearchParams, response: ServerResponse): Promise<void> {
    const body = (await bodyOf(request)).toString()
    if (query.has('uploads')) {
      const id = `upload-${++this.#count}`
      this.uploads.set(id, { key, parts: new Map() })
      return xml(response, `<InitiateMultipartUploadResult><Bucket>${this.bucket}</Bucket><Key>${escaped(key)}</Key><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`)
    }
    const id = query.get('uploadId') ?? ''
    const upload = this.uploads.get(id)
    if (upload?.key !== key) return refuse(response, 404, 'NoSuchUpload', key)
    const named = [...body.matchAll(/<Part>.*?<\/Part>/gs)].map(([part]) => ({
      number: Number(/<PartNumber>(\d+)<\/PartNumber>/.exec(part)?.[1]),
      etag: /<ETag>(.*?)<\/ETag>/.exec(part)?.[1]?.replaceAll('&quot;', '"')
    }))
    const parts: Buffer[] = []
    for (const [i, { number, etag }] of named.entries()) {
      const part = upload.parts.get(number)
      if (part === undefined || part.etag !== etag) return refuse(response, 400, 'InvalidPart', String(number))
      if (i > 0 && number <= (named[i - 1]?.number ?? 0)) return refuse(response, 400, 'InvalidPartOrder', String(number))
      if (i < named.length - 1 && part.bytes.length < PART_BYTES_MIN) return refuse(response, 400, 'EntityTooSmall', String(number))
      parts.push(part.bytes)
    }
    if (parts.length === 0) return refuse(response, 400, 'MalformedXML', body)
    this.objects.set(key, Buffer.concat(parts))
    this.uploads.delete(id)
    xml(response, `<CompleteMultipartUploadResult><Key>${escaped(key)}</Key></CompleteMultipartUploadResult>`)
  }

  #list (query: URLSearchParams, response: ServerResponse): void {
    const max = Number(query.get('max-keys') ?? 1000)
    if (query.get('list-type') !== '2' || !Number.isInteger(max) || max < 1 || max > 1000) return refuse(response, 400, 'InvalidArgument', query.toString())
    const after = Buffer.from(query.get('continuation-token') ?? '', 'base64').toString()
    const keys = [...this.objects.keys()].filter(key => key.startsWith(query.get('prefix') ?? '') && key > after).sort()
    const page = keys.slice(0, max)
    const isCut = keys.length > page.length
    xml(response, `<ListBucketResult><KeyCount>${page.length}</KeyCount><IsTruncated>${isCut}</IsTruncated>` +
      (isCut ? `<NextContinuationToken>${Buffer.from(page.at(-1) ?? '').toString('base64')}</NextContinuationToken>` : '') +
      page.map(key => `<Contents><Key>${escaped(key)}</Key><Size>${this.objects.get(key)?.length}</Size></Contents>`).join('') + '</ListBucketResult>')
  }
}

/** AWS Signature Version 4 of the headers; bodies are not part of it. */
function isSigned (request: IncomingMessage, url: URL): boolean {
  const [, id, date, signed = '', signature] =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/us-east-1\/s3\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/
      .exec(request.headers.authorization ?? '') ?? []
  if (id !== S3_KEYS.accessKeyId || date === undefined) return false
  const query = [...url.searchParams].map(([name, value]) => `${strict(name)}=${strict(value)}`).sort().join('&')
  const headers = signed.split(';').map(name => `${name}:${String(request.headers[name] ?? '').trim()}\n`).join('')
  const canonical = [request.method, url.pathname, query, headers, signed, request.headers['x-amz-content-sha256']].join('\n')
  const scope = `${date}/${REGION}/s3/aws4_request`
  const text = ['AWS4-HMAC-SHA256', request.headers['x-amz-date'], scope, createHash('sha256').update(canonical).digest('hex')].join('\n')
  const key = [date, REGION, 's3', 'aws4_request'].reduce<string | Buffer>(
    (key, part) => createHmac('sha256', key).update(part).digest(), `AWS4${S3_KEYS.secretAccessKey}`)
  return createHmac('sha256', key).update(text).digest('hex') === signature
}

function strict (text: string): string { return encodeURIComponent(text).replace(/[!'()*]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`) }

async function bodyOf (request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part)
  return Buffer.concat(parts)
}

function etagOf (bytes: Buffer): string { return `"${createHash('md5').update(bytes).digest('hex')}"` }

function xml (response: ServerResponse, body: string): void {
  response.writeHead(200, { 'Content-Type': 'application/xml' }).end(`<?xml version="1.0" encoding="UTF-8"?>\n${body}`)
}

function refuse (response: ServerResponse, status: number, code: string, message: string, isHead = false): void {
  const body = isHead ? undefined : `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${escaped(message)}</Message></Error>`
  response.writeHead(status, { 'Content-Type': 'application/xml' }).end(body)
}

function escaped (text: string): string { return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;') }
