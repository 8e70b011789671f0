import { type BlobClient } from '../../net/client/clients.js'
import { type HttpRequest, type Reply } from '../../net/http/engine.js'
import { ok, text } from '../../net/http/reply.js'
import { type Sleep } from '../../net/client/upstream.js'
import { TaskGroup } from '../cluster/task-group.js'
import { type Digest, isDigest } from '../core/digest.js'
import { AppError, isAppError, messageOf } from '../core/errors.js'
import { field, isRecord, parseFirstJson } from '../core/json.js'
import { forEachLimited } from '../core/limited.js'
import { type Logger } from '../observe/log.js'
import { MANIFEST_BYTES_MAX } from '../registry/manifest.js'
import { readBlob } from './download.js'
import { partsOf } from './image.js'

/** Bodies are small: a registry sends a few events of about a kilobyte each. */
const BODY_BYTES_MAX = 4 * 1024 * 1024
/** Images that wait for their preheating; more are refused, and the registry delivers them again. */
const QUEUE_MAX = 1_000
const IMAGES_AT_ONCE = 4
const ASKS_AT_ONCE = 16
/** The registry may tell of a push before its manifest has come to the origins. */
const RETRY_DELAYS_MS = [100, 200, 400]
const PREHEATED = /^application\/vnd\.(docker\.distribution\.manifest\.(v\d+\+json|v\d+\+prettyjws|list\.v2\+json)|oci\.image\.(manifest|index)\.v1\+json)/

interface Pushed { readonly repository: string, readonly digest: Digest }

export interface PreheaterOptions {
  readonly origins: Pick<BlobClient, 'download' | 'metaInfo'>
  readonly log: Logger
  readonly sleep: Sleep
}

/**
 * Makes the origins fetch what was just pushed, before the first agent asks for it (http-api specification 4.3): reads the
 * manifest, and asks for the metainfo of everything it refers to. Answers at once; the work is done behind, a few images at
 * a time, and its failures are only logged.
 */
export class Preheater {
  readonly #options: PreheaterOptions
  readonly #tasks: TaskGroup
  readonly #waiting: Pushed[] = []
  #lanes = 0

  constructor (options: PreheaterOptions) {
    this.#options = options
    this.#tasks = new TaskGroup(options.log)
  }

  /** Answers a registry's notification. */
  async notify (request: HttpRequest): Promise<Reply> {
    const body = Buffer.from(await request.body.bytes(BODY_BYTES_MAX)).toString('utf8')
    let pushed: Pushed[]
    try {
      pushed = pushesOf(parseFirstJson(body, 'decode body'))
    } catch (error) {
      if (isAppError(error, 'BODY_INVALID')) return text(error.message, 500)
      throw error
    }
    if (this.#waiting.length + pushed.length > QUEUE_MAX) throw new AppError('UNAVAILABLE', `${this.#waiting.length} images wait for preheating already`)
    this.#waiting.push(...pushed)
    while (this.#lanes < IMAGES_AT_ONCE && this.#waiting.length > 0) this.#startLane()
    return ok()
  }

  /** Drops what waits, aborts what runs. */
  async close (): Promise<void> {
    this.#waiting.length = 0
    await this.#tasks.close()
  }

  /** A lane takes its first image within this call. */
  #startLane (): void {
    this.#lanes++
    this.#tasks.run('preheat', async signal => {
      try {
        for (let next = this.#waiting.shift(); next !== undefined && !signal.aborted; next = this.#waiting.shift()) {
          await this.#preheat(next, signal)
        }
      } finally {
        this.#lanes--
      }
    })
  }

  async #preheat ({ repository, digest }: Pushed, signal: AbortSignal): Promise<void> {
    const { log } = this.#options
    try {
      const { blobs } = await partsOf(digest, async manifest => await this.#read(repository, manifest, signal))
      await forEachLimited(blobs.keys(), ASKS_AT_ONCE, async blob => await this.#ask(repository, blob, signal))
      log.info({ repository, digest, blobCount: blobs.size }, 'image preheated')
    } catch (error) {
      if (!signal.aborted) log.warn({ repository, digest, error: messageOf(error) }, 'image not preheated')
    }
  }

  /** The bytes of a manifest, which the origins may get only in a moment. @throws AppError MANIFEST_UNKNOWN */
  async #read (repository: string, digest: Digest, signal: AbortSignal): Promise<Uint8Array> {
    const { origins, sleep } = this.#options
    for (let attempt = 0; ; attempt++) {
      const bytes = await readBlob(origins, repository, digest, MANIFEST_BYTES_MAX, { signal })
      if (bytes !== undefined) return bytes
      const delayMs = RETRY_DELAYS_MS[attempt]
      if (delayMs === undefined) throw new AppError('MANIFEST_UNKNOWN', `the origins have no manifest ${digest}`)
      await sleep(delayMs, signal)
    }
  }

  /** Asking for metainfo is what makes an origin fetch the blob; the answer does not matter. */
  async #ask (repository: string, digest: Digest, signal: AbortSignal): Promise<void> {
    try {
      await this.#options.origins.metaInfo(repository, digest, { signal })
    } catch (error) {
      if (!signal.aborted) this.#options.log.warn({ repository, digest, error: messageOf(error) }, 'blob not preheated')
    }
  }
}

/**
 * The images that a notification tells of; keys match in any case.
 * @throws AppError BODY_INVALID where the reference cannot decode the body, and PARAMETER_INVALID where it crashes
 */
export function pushesOf (envelope: unknown): Pushed[] {
  if (!isRecord(envelope)) throw new AppError('BODY_INVALID', 'decode body: the notification is no JSON object')
  const events = field(envelope, 'events') ?? []
  if (!Array.isArray(events)) throw new AppError('BODY_INVALID', 'decode body: events must be a list')
  return events.flatMap((event: unknown) => pushOf(event) ?? [])
}

function pushOf (event: unknown): Pushed | undefined {
  if (!isRecord(event)) throw new AppError('BODY_INVALID', 'decode body: an event must be an object')
  const timestamp = field(event, 'timestamp') ?? ''
  if (typeof timestamp !== 'string' || (timestamp !== '' && !TIMESTAMP.test(timestamp))) {
    throw new AppError('BODY_INVALID', 'decode body: the timestamp of an event must be a date and time as in RFC 3339')
  }
  if (field(event, 'action') !== 'push') return undefined
  const target = field(event, 'target')
  if (!isRecord(target)) throw new AppError('PARAMETER_INVALID', 'an event has no target')
  const [mediaType, digest, repository] = ['mediaType', 'digest', 'repository'].map(key => field(target, key))
  if (typeof mediaType !== 'string' || !PREHEATED.test(mediaType)) return undefined
  if (typeof digest !== 'string' || !isDigest(digest)) return undefined
  return typeof repository === 'string' ? { repository, digest } : undefined
}

const TIMESTAMP = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/
