import { type IncomingMessage, request, type RequestOptions } from 'node:http'
import { AppError, isAppError, messageOf, systemCodeOf } from '../../runtime/core/errors.js'
import { field, isRecord, parseJson } from '../../runtime/core/json.js'
import { type CallOptions } from './clients.js'

/** How long the daemon may say nothing; it reports its progress many times a second while bytes come. */
const IDLE_MS = 10 * 60_000
/** Of one report. */
const LINE_BYTES_MAX = 1024 * 1024
/** Of an answer that is no success. */
const REFUSAL_BYTES_MAX = 64 * 1024

export interface DockerOptions {
  /** `unix:///path` or `tcp://host:port`. */
  readonly host: string
  /** Of the daemon's API. */
  readonly version: string
}

/**
 * Has a Docker daemon pull `tag` of `image`, which may begin with a registry's address, and resolves when it has.
 * @throws AppError NETWORK if it does not answer, UNAVAILABLE if it refuses or cannot pull, CANCELLED
 */
export async function dockerPull ({ host, version }: DockerOptions, image: string, tag: string, { signal }: CallOptions = {}): Promise<void> {
  const path = `/v${version}/images/create?fromImage=${encodeURIComponent(image)}&tag=${encodeURIComponent(tag)}`
  const where = host.replace(/^(unix|tcp):\/\//, '')
  const what = `Post "http://${encodeURIComponent(where)}${path}"`
  const target: RequestOptions = host.startsWith('unix://') ? { socketPath: where } : addressOf(where)
  try {
    const response = await send({ ...target, method: 'POST', path, headers: { Host: 'docker', 'X-Registry-Auth': '', 'Content-Length': '0' }, signal })
    if (response.statusCode !== 200) throw new AppError('UNAVAILABLE', `docker answered ${response.statusCode}: ${await refusalOf(response)}`)
    for await (const line of linesOf(response)) checkReport(line)
  } catch (error) {
    if (isAppError(error)) throw error
    if (signal?.aborted === true) throw new AppError('CANCELLED', `${what}: cancelled`, { cause: error })
    throw new AppError('NETWORK', `send post request: ${what}: ${reasonOf(error, host)}`, { cause: error })
  }
}

async function send (options: RequestOptions): Promise<IncomingMessage> {
  return await new Promise((resolve, reject) => {
    const outgoing = request({ ...options, agent: false, timeout: IDLE_MS }, resolve)
    outgoing.on('timeout', () => { outgoing.destroy(new Error(`nothing was heard for ${IDLE_MS / 60_000} minutes`)) })
    outgoing.on('error', reject)
    outgoing.end()
  })
}

/** A report of a pull that failed is the only sign of it: the status was sent long before. */
function checkReport (line: string): void {
  const report = parseJson(line, 'report of docker')
  const error = field(report, 'error')
  if (typeof error === 'string' && error !== '') throw new AppError('UNAVAILABLE', error)
}

async function * linesOf (response: IncomingMessage): AsyncGenerator<string> {
  let rest = Buffer.alloc(0)
  for await (const chunk of response) {
    rest = Buffer.concat([rest, chunk])
    for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10)) {
      const line = rest.toString('utf8', 0, end).trim()
      if (line !== '') yield line
      rest = rest.subarray(end + 1)
    }
    if (rest.length > LINE_BYTES_MAX) throw new AppError('UNAVAILABLE', `docker sent a report of more than ${LINE_BYTES_MAX} bytes`)
  }
  const last = rest.toString('utf8').trim()
  if (last !== '') yield last
}

/** The daemon's message, or the text that it sent instead. */
async function refusalOf (response: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of response) {
    text += String(chunk)
    if (text.length > REFUSAL_BYTES_MAX) break
  }
  try {
    const document = parseJson(text, 'answer of docker')
    return isRecord(document) && typeof document.message === 'string' ? document.message : text.trim()
  } catch {
    return text.trim()
  }
}

/** Failures to reach the daemon in the words that the reference logs; all others as they are. */
function reasonOf (error: unknown, host: string): string {
  const code = systemCodeOf(error) ?? ''
  const reason = REASONS[code]
  return reason === undefined ? messageOf(error) : `dial ${host.replace('://', ' ')}: connect: ${reason}`
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory', ECONNREFUSED: 'connection refused', EACCES: 'permission denied'
}

function addressOf (address: string): RequestOptions {
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) }
}
