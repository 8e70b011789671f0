import { createHash, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { must } from './must.js'
import { pattern } from './pattern.js'

/*
 * Recorded HTTP exchanges, sent again to other servers (http-api specification, top and 14.6). Answers are made comparable:
 * what is of one run only (ports, ids) is put in the words of the recording, and headers that it does not record are left
 * out.
 */

/** One recorded exchange. */
export interface Step {
  readonly id: string
  /** Who is asked. */
  readonly role: string
  readonly method: string
  /** Path and query, or a whole URL; names in braces stand for what was saved before. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly body_bytes?: RecordedBytes
  /** The exchange was repeated until it had this status. */
  readonly poll_until?: number
  /** Name -> response header, and the expression whose first group is kept under the name. */
  readonly save?: Readonly<Record<string, readonly [string, string]>>
  readonly response: {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body?: string
    readonly body_bytes?: RecordedBytes
  }
}

interface RecordedBytes { readonly length: number, readonly sha256: string, readonly hex?: string | null, readonly pattern?: string | null }

export interface Recording {
  /** Contents, by name: given as hex, or else a pattern of that length. */
  readonly blobs: Readonly<Record<string, { readonly length: number, readonly hex: string | null }>>
  readonly steps: readonly Step[]
}

/** An answer as it is compared: text bodies as they are, others by length and sum. */
export interface Comparable {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface ReplayOptions {
  /** The port that plays each role; steps of other roles cannot be sent. */
  readonly ports: Readonly<Record<string, number>>
  /** Texts of this run, and what stood for them in the recorded one. */
  readonly names: ReadonlyArray<readonly [here: string, recorded: string]>
}

/** Responses are recorded with these headers only; one that is not there was not sent (14.6). */
const RECORDED_HEADERS = [
  'accept-ranges', 'allow', 'cache-control', 'content-encoding', 'content-length', 'content-range', 'content-type', 'docker-content-digest',
  'docker-distribution-api-version', 'docker-upload-uuid', 'etag', 'link', 'location', 'origin-locations', 'range', 'size', 'transfer-encoding',
  'x-content-type-options'
]
/** What is not answered by then hangs. */
const ANSWER_LIMIT_MS = 50_000
/** A step that is repeated gives up after so many tries. */
const POLLS_MAX = 1_000

const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
const UPLOAD_URL = `http://127\\.0\\.0\\.1:15000/v2/[a-z/]+/blobs/uploads/${UUID}\\?_state=[^&]+`
/** What a name in braces stands for, where nothing was saved under it before. */
const SHAPES: Readonly<Record<string, string>> = {
  uid: UUID, uuid: UUID, uuid1: UUID, state: '[^&]+', loc: UPLOAD_URL, loc2: UPLOAD_URL, loc3: UPLOAD_URL
}

export function readRecording (file: URL): Recording {
  const recording: Recording = JSON.parse(readFileSync(file, 'utf8'))
  return recording
}

/** Sends the steps of a recording, in order, and remembers what they save. */
export class Replay {
  readonly #saved = new Map<string, string>()
  readonly #bodies: Bodies

  constructor (recording: Recording, readonly options: ReplayOptions) { this.#bodies = new Bodies(recording) }

  /**
   * Sends a step and returns the answer in the words of `expected`, so that it equals it where only volatile parts differ.
   * Repeats a step that was repeated in the recording; waits that the recording has are left out.
   */
  async play (step: Step, expected: Comparable): Promise<Comparable> {
    const port = must(this.options.ports[step.role], `the port of ${step.role}`)
    const known = new Map([...this.#saved].filter(([name]) => step.save?.[name] === undefined))
    let answer = await this.#send(port, step)
    for (let tries = 1; step.poll_until !== undefined && answer.status !== step.poll_until && answer.status === 202; tries++) {
      if (tries === POLLS_MAX) throw new Error(`${step.id} is still answered ${answer.status} after ${tries} tries`)
      answer = await this.#send(port, step)
    }
    for (const [name, [header, expression]] of Object.entries(step.save ?? {})) {
      this.#saved.set(name, new RegExp(expression).exec(String(answer.headers[header] ?? ''))?.[1] ?? '')
    }
    return this.#comparable(answer, step, expected, known)
  }

  async #send (port: number, step: Step): Promise<Answer> {
    const body = step.body_bytes === undefined ? step.body : this.#bodies.of(step.body_bytes)
    const asked: Readonly<Record<string, string>> = { state: 'x', uuid: randomUUID(), time: new Date(0).toISOString() }
    const fill = (text: string): string => text.replace(/\{(\w+)\}/g, (whole, name: string) => this.#saved.get(name) ?? asked[name] ?? whole)
    // What is named in a path has another address here.
    const path = this.options.names.reduce((text, [here, recorded]) => text.replaceAll(recorded, here), fill(step.path))
    return await exchange(port, step.method, targetOf(path), step.headers ?? {}, typeof body === 'string' ? fill(body) : body)
  }

  #comparable ({ status, headers, body }: Answer, { method }: Step, expected: Comparable, known: ReadonlyMap<string, string>): Comparable {
    const inTheirWords = (text: string, pattern: string | undefined): string => {
      const renamed = this.options.names.reduce((text, [here, recorded]) => text.replaceAll(here, recorded), text)
      return pattern !== undefined && expressionOf(pattern, known).test(renamed) ? pattern : renamed
    }
    const shown = isShown(body, expected.body) ? inTheirWords(body.toString(), expected.body) : sumOf(body.length, sha256(body))
    const entries = RECORDED_HEADERS.flatMap(name => {
      const value = headers[name]
      return value === undefined ? [] : [[name, inTheirWords(String(value), expected.headers[name])] as const]
    })
    const answer = { status, headers: Object.fromEntries(entries), body: body.toString() }
    return isShown(body, expected.body) && method !== 'HEAD' ? withBody(answer, settled(shown)) : { ...answer, body: shown }
  }
}

/** What the recording has, in the form in which answers are compared. */
export function recordedAnswer ({ response: { status, headers, body = '', body_bytes: bytes } }: Step): Comparable {
  const answer = { status, headers, body }
  return bytes === undefined ? withBody(answer, settled(body)) : { ...answer, body: sumOf(bytes.length, bytes.sha256) }
}

/** The answer with another body. A length that was right stays right, a wrong one wrong. */
export function withBody (answer: Comparable, body: string): Comparable {
  const isRight = answer.headers['content-length'] === String(Buffer.byteLength(answer.body))
  const headers = isRight ? { ...answer.headers, 'content-length': String(Buffer.byteLength(body)) } : answer.headers
  return { ...answer, headers, body }
}

interface Answer { readonly status: number, readonly headers: Readonly<Record<string, string | string[] | undefined>>, readonly body: Buffer }

/** One request over a connection of its own, with no header beyond Host, Content-Length and the given ones. */
async function exchange (
  port: number, method: string, target: string, headers: Readonly<Record<string, string>>, body: string | Uint8Array | undefined
): Promise<Answer> {
  const hasLength = body !== undefined || ['POST', 'PUT', 'PATCH'].includes(method)
  const length = hasLength ? { 'Content-Length': String(Buffer.byteLength(body ?? '')) } : {}
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const options = { host: '127.0.0.1', port, method, path: target, agent: false, signal: AbortSignal.timeout(ANSWER_LIMIT_MS) }
    const outgoing = request({ ...options, headers: { ...headers, ...length } }, resolve)
    outgoing.removeHeader('Connection')
    outgoing.on('error', cause => { reject(new Error(`${method} ${target}: ${cause.message}`, { cause })) })
    outgoing.end(body)
  })
  const parts: Buffer[] = []
  for await (const part of response) parts.push(part)
  return { status: must(response.statusCode), headers: response.headers, body: Buffer.concat(parts) }
}

/** Of a URL only path and query go out. */
function targetOf (path: string): string {
  return path.startsWith('http://') ? path.slice(path.indexOf('/', 'http://'.length)) : path
}

/** The bytes that recorded requests carried; of long ones only what they are made of is recorded. */
class Bodies {
  readonly #bySum = new Map<string, Uint8Array>()

  constructor ({ blobs }: Recording) {
    for (const { length, hex } of Object.values(blobs)) this.#add(hex === null ? pattern(length) : Buffer.from(hex, 'hex'))
    for (const [length, cut] of [[1024, 500], [2048, 1000]] as const) {
      this.#add(pattern(length).subarray(0, cut))
      this.#add(pattern(length).subarray(cut))
    }
  }

  of ({ sha256: sum, hex }: RecordedBytes): Uint8Array {
    return typeof hex === 'string' ? Buffer.from(hex, 'hex') : must(this.#bySum.get(sum), `the body with the sum ${sum}`)
  }

  #add (bytes: Uint8Array): void { this.#bySum.set(sha256(bytes), bytes) }
}

/** A body without what is arbitrary in it: a blacklist has no order, and its times run. */
export function settled (body: string): string {
  if (!body.startsWith('[{"peer_id":')) return body
  const entries: Array<{ peer_id: number[], info_hash: number[], remaining: number }> = JSON.parse(body)
  const lines = entries.map(entry => JSON.stringify({ ...entry, remaining: entry.remaining > 0 ? 1 : 0 }))
  return `[${lines.sort().join(',')}]\n`
}

function expressionOf (pattern: string, known: ReadonlyMap<string, string>): RegExp {
  const parts = pattern.split(/\{(\w+)\}/)
  return new RegExp(`^${parts.map((part, i) => i % 2 === 0 ? escaped(part) : meaningOf(part, known)).join('')}$`)
}

function meaningOf (name: string, known: ReadonlyMap<string, string>): string {
  const value = known.get(name)
  return value !== undefined && value !== '' ? escaped(value) : SHAPES[name] ?? escaped(`{${name}}`)
}

function escaped (text: string): string { return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&') }

function isShown (body: Buffer, expected: string): boolean {
  return !expected.startsWith('sha256 ') && Buffer.from(body.toString()).equals(body)
}

function sumOf (length: number, sum: string): string { return `sha256 ${sum} of ${length} bytes` }

function sha256 (bytes: Uint8Array): string { return createHash('sha256').update(bytes).digest('hex') }
