import { answeredStatus, answeredText } from '../../net/client/answers.js'
import { type MetaInfoAnswer } from '../../net/client/clients.js'
import { INLINE_HEADER, isWelcome, joinInlined } from '../../net/api/inline.js'
import { PIECE_DIGESTS_HEADER } from '../../net/api/origin.js'
import { trackerApi } from '../../net/api/tracker.js'
import { withDebug } from '../../net/http/debug.js'
import { type Handler, type HttpRequest, type Reply } from '../../net/http/engine.js'
import { BINARY_TYPE, JSON_TYPE, text, TEXT_TYPE } from '../../net/http/reply.js'
import { createRouter } from '../../net/http/router.js'
import { type Digest, parseDigest } from '../core/digest.js'
import { AppError, messageOf } from '../core/errors.js'
import { type InfoHash, parseInfoHash } from '../core/infohash.js'
import { type Logger } from '../observe/log.js'
import { type Announcer } from './announcer.js'
import { ANNOUNCE_BYTES_MAX, announcedPeer, type AnnounceBody, decodeAnnounce } from './announce.js'

/** What the routes call. */
export interface TrackerService {
  readonly announcer: Pick<Announcer, 'announce'>
  readonly metaInfo: (namespace: string, digest: Digest) => Promise<MetaInfoAnswer>
  readonly checkReadiness: (signal: AbortSignal) => Promise<void>
}

/** The HTTP surface of the tracker (http-api specification 6). */
export function createTrackerHandler (service: TrackerService, log: Logger): Handler {
  const router = withDebug(createRouter({ component: 'tracker', misses: 'method-not-allowed', log }))
  router.on(trackerApi.health, () => text('OK\n'))
  router.on(trackerApi.readiness, async request => readiness(service, request))
  router.on(trackerApi.announceV2, async (request, { infohash }) => {
    const infoHash = understood('parse infohash: ', () => parseInfoHash(infohash))
    return infoHash.ok ? announce(service, request, () => infoHash.value) : infoHash.refusal
  })
  router.on(trackerApi.announceV1, async request => announce(service, request, body => body.infoHash))
  router.on(trackerApi.metaInfo, async (request, params) => metaInfo(service, request, params))
  return router.handle
}

/** Made once: announces are most of what a tracker answers. */
const TEXT_HEADERS = { 'Content-Type': TEXT_TYPE }

async function readiness (service: TrackerService, { signal }: HttpRequest): Promise<Reply> {
  try {
    await service.checkReadiness(signal)
    return text('OK\n')
  } catch (error) {
    return text(`not ready to serve traffic: ${messageOf(error)}`, 503)
  }
}

/** @throws AppError BODY_INVALID for a peer that cannot be handed out */
async function announce (service: TrackerService, { body }: HttpRequest, infoHashOf: (body: AnnounceBody) => InfoHash): Promise<Reply> {
  const bytes = await body.bytes(ANNOUNCE_BYTES_MAX)
  const announced = understood('', () => decodeAnnounce(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()))
  if (!announced.ok) return announced.refusal
  const { digest, peer } = announced.value
  const answer = service.announcer.announce(digest, infoHashOf(announced.value), announcedPeer(peer))
  return { status: 200, headers: TEXT_HEADERS, body: typeof answer === 'string' ? answer : await answer }
}

/** Bodies are the reference's to the byte, the blank behind `origin:` included (6.3). */
async function metaInfo (service: TrackerService, request: HttpRequest, params: { namespace: string, digest: string }): Promise<Reply> {
  const digest = digestOf(params.digest)
  try {
    const answer = await service.metaInfo(params.namespace, digest)
    if (answer.status === 'pending') return text('origin: ', 202)
    if (answer.status === 'unknown') return text('origin: ', 404)
    const wantsDigests = request.header(PIECE_DIGESTS_HEADER) !== undefined
    const list = wantsDigests ? answer.metaInfo.serializeWithDigests() : answer.metaInfo.serialize()
    if (answer.blob === undefined || !isWelcome(request.header(INLINE_HEADER), answer.blob.length)) {
      return { status: 200, headers: { 'Content-Type': JSON_TYPE }, body: list }
    }
    const { headers, body } = joinInlined(list, answer.blob)
    return { status: 200, headers: { ...headers, 'Content-Type': BINARY_TYPE }, body }
  } catch (error) {
    // What an origin answered is passed on; that none answered is the tracker's own failure.
    const status = answeredStatus(error)
    return status === undefined ? text(messageOf(error), 500) : text(`origin: ${answeredText(error)}`, status)
  }
}

/** @throws AppError DIGEST_INVALID, as if an origin had said so */
function digestOf (digest: string): Digest {
  try {
    return parseDigest(digest)
  } catch (cause) {
    throw new AppError('DIGEST_INVALID', `parse digest: server error 400: parse digest: ${messageOf(cause)}`, { cause })
  }
}

type Understood<T> = { readonly ok: true, readonly value: T } | { readonly ok: false, readonly refusal: Reply }

/** What cannot be understood gets the reference's 500, with the same text; agents take every status but 200 alike (6.2). */
function understood<T> (prefix: string, read: () => T): Understood<T> {
  try {
    return { ok: true, value: read() }
  } catch (error) {
    return { ok: false, refusal: text(prefix + messageOf(error), 500) }
  }
}
