import { randomBytes } from 'node:crypto'
import { ACCEPT_ALL, type Blob, type Manifest } from './content.js'
import { type Answer, type CallOptions, Endpoint } from './endpoint.js'

/** What a case throws when the registry says, as the specification lets it, that it does not do this. */
export class Unsupported extends Error { override readonly name = 'Unsupported' }

/** What a case throws when the registry answers what it must not. */
export class Wrong extends Error { override readonly name = 'Wrong' }

export interface SubjectOptions {
  /** Where the registry under test is read. */
  readonly readUrl: string
  /** Where content is pushed for it; default the same. A read-only registry is tested by pushing elsewhere. */
  readonly writeUrl?: string
}

/** The registry under test, with what every case needs of it. Every helper throws what it did not get. */
export class Subject {
  readonly reads: Endpoint
  readonly writes: Endpoint
  readonly #run = randomBytes(4).toString('hex')
  #repositories = 0

  constructor ({ readUrl, writeUrl = readUrl }: SubjectOptions) {
    this.reads = new Endpoint(readUrl)
    this.writes = new Endpoint(writeUrl)
  }

  /** The name of a repository that nobody has used. */
  repository (): string { return `conformance/${this.#run}/r${++this.#repositories}` }

  async get (path: string, options?: CallOptions): Promise<Answer> { return await this.reads.call('GET', path, options) }
  async head (path: string, options?: CallOptions): Promise<Answer> { return await this.reads.call('HEAD', path, options) }

  async getManifest (repository: string, reference: string, options: CallOptions = {}): Promise<Answer> {
    return await this.get(`/v2/${repository}/manifests/${reference}`, { headers: ACCEPT_ALL, ...options })
  }

  async headManifest (repository: string, reference: string): Promise<Answer> {
    return await this.head(`/v2/${repository}/manifests/${reference}`, { headers: ACCEPT_ALL })
  }

  async getBlob (repository: string, digest: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return await this.get(`/v2/${repository}/blobs/${digest}`, { headers })
  }

  /** Begins an upload; the answer's `Location` is where it goes on. */
  async startUpload (repository: string, query = ''): Promise<Answer> {
    return expectStatus(await this.writes.call('POST', `/v2/${repository}/blobs/uploads/${query}`), 202)
  }

  /** POST, then PUT with all bytes. */
  async pushBlob (repository: string, { bytes, digest }: Blob): Promise<Answer> {
    const location = locationOf(await this.startUpload(repository))
    return expectStatus(await this.writes.call('PUT', withQuery(location, { digest }), { headers: BINARY, body: bytes }), 201)
  }

  /** The manifest alone, whatever the answer. */
  async putManifest (repository: string, reference: string, { bytes, mediaType }: Pick<Manifest, 'bytes' | 'mediaType'>, query = ''): Promise<Answer> {
    return await this.writes.call('PUT', `/v2/${repository}/manifests/${reference}${query}`, { headers: { 'Content-Type': mediaType }, body: bytes })
  }

  /** The manifest after everything that it needs. */
  async pushImage (repository: string, reference: string, manifest: Manifest): Promise<Answer> {
    for (const child of manifest.children) await this.pushImage(repository, child.digest, child)
    for (const blob of manifest.blobs) await this.pushBlob(repository, blob)
    return expectStatus(await this.putManifest(repository, reference, manifest), 201)
  }

  /** @throws Unsupported if the registry does not delete */
  async delete (path: string): Promise<Answer> {
    const answer = await this.writes.call('DELETE', path)
    if (answer.status === 405 || answer.status === 400) throw new Unsupported(`${answer.call} was answered ${answer.status}`)
    return answer
  }
}

export const BINARY = { 'Content-Type': 'application/octet-stream' }

export function check (isGood: boolean, message: string): void { if (!isGood) throw new Wrong(message) }

export function expectStatus (answer: Answer, ...statuses: readonly number[]): Answer {
  if (statuses.includes(answer.status)) return answer
  throw new Wrong(`${answer.call} was answered ${answer.status} instead of ${statuses.join(' or ')}: ${answer.body.toString('utf8', 0, 300)}`)
}

export function expectHeader (answer: Answer, name: string, value: string): Answer {
  check(answer.headers[name] === value, `${answer.call} came with ${name}: ${String(answer.headers[name])} instead of ${value}`)
  return answer
}

export function expectBody (answer: Answer, bytes: Uint8Array): Answer {
  check(answer.body.equals(bytes), `${answer.call} came with ${answer.body.length} bytes that are not the ${bytes.length} expected ones`)
  return answer
}

/** A failure as clients read it: a list of errors with at least one of these codes first. */
export function expectError (answer: Answer, statuses: readonly number[], ...codes: readonly string[]): Answer {
  expectStatus(answer, ...statuses)
  const [first] = errorsOf(answer)
  check(first !== undefined && codes.includes(first), `${answer.call} failed with ${String(first)} instead of ${codes.join(' or ')}`)
  return answer
}

/** The codes of a list of errors; none if the body is no such list. */
export function errorsOf ({ body }: Answer): string[] {
  const document = tryJson(body)
  const errors: unknown = typeof document === 'object' && document !== null && 'errors' in document ? document.errors : undefined
  return Array.isArray(errors) ? errors.map((entry: unknown) => String(typeof entry === 'object' && entry !== null && 'code' in entry ? entry.code : '')) : []
}

export function jsonOf (answer: Answer): Record<string, unknown> {
  const document = tryJson(answer.body)
  if (typeof document === 'object' && document !== null && !Array.isArray(document)) return { ...document }
  throw new Wrong(`${answer.call} came with no JSON object: ${answer.body.toString('utf8', 0, 200)}`)
}

/** Where an answer leads: its `Location`, relative to what was asked. */
export function locationOf (answer: Answer): URL {
  const { location } = answer.headers
  if (location === undefined || location === '') throw new Wrong(`${answer.call} came without a Location`)
  return new URL(location, answer.url)
}

export function withQuery (url: URL, query: Readonly<Record<string, string>>): URL {
  const result = new URL(url)
  for (const [key, value] of Object.entries(query)) result.searchParams.set(key, value)
  return result
}

function tryJson (body: Buffer): unknown {
  try {
    const document: unknown = JSON.parse(body.toString())
    return document
  } catch {
    return undefined
  }
}
