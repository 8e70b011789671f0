import { mirroredRepository, parseRegistryPath, type RegistryTarget } from '../../net/api/registry.js'
import { type Handler, type HttpRequest, type Reply } from '../../net/http/engine.js'
import { notFound, text } from '../../net/http/reply.js'
import { assertNever } from '../core/brand.js'
import { type RecordClient } from '../../net/client/clients.js'
import { AppError } from '../core/errors.js'
import { type Logger } from '../observe/log.js'
import { blobUnknown, serveBlob } from './blobs.js'
import { Deletes } from './deletes.js'
import { errorReply } from './errors.js'
import { listRepositories, listTags } from './listings.js'
import { ManifestWriter, serveManifest } from './manifests.js'
import { ReferrerLists, serveReferrers } from './referrers.js'
import { type Membership, Repositories } from './repositories.js'
import { type RegistryBackend } from './transfer.js'
import { RegistryUploads } from './uploads.js'
import { unknownUpload } from './upload-url.js'

export interface RegistryOptions {
  readonly log: Logger
  /** Where it is kept which repository has what, and what is called by its SHA-512; without it only SHA-256 is known, and nothing can be deleted. */
  readonly records?: Pick<RecordClient, 'record' | 'putRecord'>
  /** Default `shared`. */
  readonly membership?: Membership
  /** Whether tags, manifests and blobs can be deleted; default true. */
  readonly canDelete?: boolean
  /** Which repository `?ns=<registry>` means: that of the path, or one below the registry's name; default `plain`. */
  readonly mirror?: 'plain' | 'per_registry'
}

/**
 * The registry of the agent and of the proxy (http-api specification 8, 9): turns each route into one call on a service
 * and each failure into the JSON that registry clients expect. Without `backend.writes` every write is refused at once,
 * its body unread.
 */
export function createRegistry (backend: RegistryBackend, options: RegistryOptions): Handler {
  const { log, mirror = 'plain' } = options
  const routes = new Routes(backend, options)
  return async (request): Promise<Reply> => {
    const target = parseRegistryPath(request.rawPath)
    if (target.kind === 'root') return { status: 200, headers: { 'Cache-Control': 'no-cache' } }
    const registry = mirror === 'plain' ? null : new URLSearchParams(request.rawQuery).get('ns')
    const answering = registry === null ? routes.answer(request, target) : routes.mirror(request, target, registry)
    const reply = await answering.catch((error: unknown) => errorReply(error, request, log))
    return { ...reply, headers: { ...reply.headers, 'Docker-Distribution-Api-Version': 'registry/2.0' } }
  }
}

type Routed = Exclude<RegistryTarget, { kind: 'root' }>

const READS = ['GET', 'HEAD']
const WRITES = ['POST', 'PUT', 'PATCH', 'DELETE']
/** What each route takes; others are no routes at all, or take anything. */
const METHODS: Partial<Record<Routed['kind'], readonly string[]>> = {
  catalog: READS,
  referrers: READS,
  tags: READS,
  manifest: [...READS, 'PUT', 'DELETE'],
  blob: [...READS, 'DELETE'],
  uploads: ['POST'],
  upload: [...READS, 'PATCH', 'PUT', 'DELETE']
}
// Docker gives up at once when it sees a text that it does not know, and retries for most of a minute at the standard one.
const READ_ONLY = 'this registry is read-only: push to the proxy of this cluster instead'
const UNDELETABLE = 'deleting is switched off in this registry (shoal.registry.deletes in the configuration of the proxy)'

/** What a cluster knows whose build-indexes keep no records. */
const NO_RECORDS: Pick<RecordClient, 'record' | 'putRecord'> = {
  record: async () => undefined,
  putRecord: async () => { throw unsupported('this registry keeps no records of repositories, so it cannot delete') }
}

class Routes {
  readonly #repositories: Repositories
  readonly #uploads: RegistryUploads | undefined
  readonly #manifests: ManifestWriter | undefined
  /** Undefined too if deleting is switched off. */
  readonly #deletes: Deletes | undefined

  constructor (readonly backend: RegistryBackend, { log, records = NO_RECORDS, membership = 'shared', canDelete = true }: RegistryOptions) {
    const { reads, writes } = backend
    this.#repositories = new Repositories({ records, membership, log })
    if (writes === undefined) return
    const parts = { reads, writes, repositories: this.#repositories, referrers: new ReferrerLists(reads, writes) }
    this.#uploads = new RegistryUploads({ ...parts, log })
    this.#manifests = new ManifestWriter(parts)
    if (canDelete) this.#deletes = new Deletes(parts)
  }

  /** Answers for another registry, and says so. @throws AppError NAME_UNKNOWN, so that the client goes on to the next mirror */
  async mirror (request: HttpRequest, target: Routed, registry: string): Promise<Reply> {
    if (!('repository' in target)) return await this.answer(request, target)
    const repository = mirroredRepository(registry, target.repository)
    if (repository === undefined) throw new AppError('NAME_UNKNOWN', `nothing is mirrored of ${JSON.stringify(registry.slice(0, 256))}`)
    const reply = await this.answer(request, { ...target, repository })
    return { ...reply, headers: { ...reply.headers, 'OCI-Namespace': registry } }
  }

  async answer (request: HttpRequest, target: Routed): Promise<Reply> {
    const methods = METHODS[target.kind]
    if (methods !== undefined && request.method === 'OPTIONS') return { status: 200, headers: { Allow: methods.join(', ') } }
    if (methods !== undefined && !methods.includes(request.method)) return wrongMethod(methods)
    if (this.backend.writes === undefined && WRITES.includes(request.method) && isRepositoryRoute(target)) throw unsupported(READ_ONLY)
    const { reads } = this.backend
    switch (target.kind) {
      case 'base': return { status: 200, headers: { 'Content-Type': 'application/json' }, body: '{}' }
      case 'catalog': return await listRepositories(reads, request)
      case 'tags': return await listTags(reads, request, target.repository)
      case 'manifest': return await this.#manifest(request, target)
      case 'blob': return await this.#blob(request, target)
      case 'referrers': return await serveReferrers(reads, request, target.repository, target.digest)
      case 'uploads':
      case 'upload': return await this.#upload(request, target)
      case 'redirect': return redirect(target.path, request.rawQuery)
      case 'badDigest': throw new AppError('DIGEST_INVALID', `"${target.text.slice(0, 128)}" is no digest of the form sha256:<64 hex> or sha512:<128 hex>`, { detail: {} })
      case 'badName': throw new AppError('NAME_INVALID', `the repository name has ${target.text.length} characters, at most 255 are allowed`)
      case 'badPath': return text('the path has a broken percent escape', 400)
      case 'none': return notFound()
      default: return assertNever(target)
    }
  }

  async #manifest (request: HttpRequest, { repository, reference }: RegistryTarget & { kind: 'manifest' }): Promise<Reply> {
    switch (request.method) {
      case 'DELETE': return await this.#deleting().deleteManifest(request, repository, reference)
      case 'PUT': return this.#manifests === undefined ? notFound() : await this.#manifests.store(request, repository, reference)
      default: return await serveManifest(this.backend.reads, this.#repositories, request, repository, reference)
    }
  }

  async #blob (request: HttpRequest, { repository, digest: name }: RegistryTarget & { kind: 'blob' }): Promise<Reply> {
    if (request.method === 'DELETE') return await this.#deleting().deleteBlob(request, repository, name)
    const digest = await this.#repositories.locate(repository, name, { signal: request.signal })
    if (digest === undefined) throw blobUnknown(name)
    return await serveBlob(this.backend, request, { repository, digest, name })
  }

  /** @throws AppError UNSUPPORTED */
  #deleting (): Deletes {
    if (this.#deletes === undefined) throw unsupported(UNDELETABLE)
    return this.#deletes
  }

  async #upload (request: HttpRequest, target: RegistryTarget & { kind: 'uploads' | 'upload' }): Promise<Reply> {
    const uploads = this.#uploads
    const { repository } = target
    if (target.kind === 'uploads') return uploads === undefined ? notFound() : await uploads.start(request, repository)
    if (uploads === undefined) throw unknownUpload(target.upload)
    switch (request.method) {
      case 'PATCH': return await uploads.append(request, repository, target.upload)
      case 'PUT': return await uploads.finish(request, repository, target.upload)
      case 'DELETE': return await uploads.cancel(request, repository, target.upload)
      default: return await uploads.status(request, repository, target.upload)
    }
  }
}

function isRepositoryRoute ({ kind }: Routed): boolean { return METHODS[kind] !== undefined || kind === 'badDigest' || kind === 'badName' }

function unsupported (message: string): AppError { return new AppError('UNSUPPORTED', message) }

function wrongMethod (allowed: readonly string[]): Reply {
  return {
    status: 405,
    headers: { Allow: allowed.join(', '), 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' },
    body: 'Method not allowed\n'
  }
}

/** Path-only, so that it is right behind any proxy; the body is that of Go's server. */
function redirect (path: string, rawQuery: string): Reply {
  const location = rawQuery === '' ? path : `${path}?${rawQuery}`
  const link = location.replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`)
  return {
    status: 301,
    headers: { Location: location, 'Content-Type': 'text/html; charset=utf-8' },
    body: `<a href="${link}">Moved Permanently</a>.\n\n`
  }
}
