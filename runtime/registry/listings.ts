import { type HttpRequest, type Reply } from '../../net/http/engine.js'
import { JSON_TYPE } from '../../net/http/reply.js'
import { AppError } from '../core/errors.js'
import { goJson } from '../core/json.js'
import { linkHeader, pageOf, parsePageRequest } from './page.js'
import { type RegistryReads } from './transfer.js'

/**
 * Answers `tags/list` (http-api specification 9.3): sorted, in pages if the client wants them.
 * @throws AppError NAME_UNKNOWN for a repository without any tag
 */
export async function listTags (reads: RegistryReads, request: HttpRequest, repository: string): Promise<Reply> {
  const wanted = parsePageRequest(new URLSearchParams(request.rawQuery))
  const tags = await reads.listTags(repository, { signal: request.signal })
  if (tags.length === 0) {
    throw new AppError('NAME_UNKNOWN', `repository ${repository} is not known to this registry`, { detail: { name: repository } })
  }
  const page = pageOf(tags, wanted)
  return list({ name: repository, tags: page.names }, linkHeader(`/v2/${repository}/tags/list`, wanted, page))
}

/** Answers `_catalog`: `last` is the name of a repository and `n` counts repositories, not tags (8.10). */
export async function listRepositories (reads: RegistryReads, request: HttpRequest): Promise<Reply> {
  const wanted = parsePageRequest(new URLSearchParams(request.rawQuery))
  const page = pageOf(await reads.listRepositories({ signal: request.signal }), wanted)
  return list({ repositories: page.names }, linkHeader('/v2/_catalog', wanted, page))
}

function list (document: object, headers: Record<string, string>): Reply {
  return { status: 200, headers: { 'Content-Type': JSON_TYPE, ...headers }, body: goJson(document) + '\n' }
}
