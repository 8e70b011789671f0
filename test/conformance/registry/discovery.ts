import { artifact, childOf, image, index, type Manifest, manifestOf, OCI_INDEX, unknownDigest } from './content.js'
import { type Case, casesOf } from './case.js'
import { type Answer } from './endpoint.js'
import { check, expectHeader, expectStatus, jsonOf, type Subject, Unsupported, Wrong } from './subject.js'

const SIGNATURE = 'application/vnd.example.signature'
const TAGS = ['Z', '_under', 'a', 'b', 'latest', 'v1', 'v10', 'v2']
const PAGES_MAX = 1_000

/** Content discovery (http-api specification 9.3). */
export const DISCOVERY_CASES: readonly Case[] = casesOf('discovery', {
  'tags are listed in order': async subject => {
    const repository = await tagged(subject)
    const answer = expectStatus(await subject.get(`/v2/${repository}/tags/list`), 200)
    check(jsonOf(answer)['name'] === repository, 'the list names its repository')
    sameTags(tagsOf(answer), TAGS)
  },
  'tags of an unknown repository are 404, or none': async subject => {
    const answer = expectStatus(await subject.get(`/v2/${subject.repository()}/tags/list`), 404, 200)
    if (answer.status === 200) sameTags(tagsOf(answer), [])
  },
  'a page of tags has at most n, and leads to the next': async subject => {
    const repository = await tagged(subject)
    const seen: string[] = []
    let path: string | undefined = `/v2/${repository}/tags/list?n=3`
    for (let page = 0; path !== undefined; page++) {
      if (page === 4) throw new Wrong('8 tags in pages of 3 do not end after 4 pages')
      const answer: Answer = expectStatus(await subject.get(path), 200)
      const tags = tagsOf(answer)
      check(tags.length <= 3, `a page of ${tags.length} tags`)
      seen.push(...tags)
      path = nextOf(answer)
    }
    sameTags(seen, TAGS)
  },
  'n = 0 is an empty page that leads nowhere': async subject => {
    const answer = expectStatus(await subject.get(`/v2/${await tagged(subject)}/tags/list?n=0`), 200)
    sameTags(tagsOf(answer), [])
    check(nextOf(answer) === undefined, 'no Link')
  },
  'a page begins behind its last': async subject => {
    const repository = await tagged(subject)
    sameTags(tagsOf(expectStatus(await subject.get(`/v2/${repository}/tags/list?last=b`), 200)), TAGS.slice(4))
    sameTags(tagsOf(expectStatus(await subject.get(`/v2/${repository}/tags/list?last=b&n=2`), 200)), ['latest', 'v1'])
    sameTags(tagsOf(expectStatus(await subject.get(`/v2/${repository}/tags/list?last=bb&n=1`), 200)), ['latest'])
    sameTags(tagsOf(expectStatus(await subject.get(`/v2/${repository}/tags/list?last=v2`), 200)), [])
  },
  'an n that is no count is refused': async subject => {
    const repository = await tagged(subject)
    for (const n of ['-1', 'x', '1.5']) expectStatus(await subject.get(`/v2/${repository}/tags/list?n=${n}`), 400)
  },

  'the catalogue lists repositories in order, in pages': async subject => {
    const repositories = [subject.repository(), subject.repository(), subject.repository()].sort()
    for (const repository of repositories) for (const tag of ['a', 'b']) await subject.pushImage(repository, tag, image())
    const seen: string[] = []
    let path: string | undefined = '/v2/_catalog?n=2'
    for (let page = 0; path !== undefined && page < PAGES_MAX; page++) {
      const answer: Answer = await subject.get(path)
      if (answer.status === 404 || answer.status === 405) throw new Unsupported(`the catalogue was answered ${answer.status}`)
      const { repositories: names } = jsonOf(expectStatus(answer, 200))
      check(Array.isArray(names) && names.length <= 2, 'a page of at most 2')
      if (Array.isArray(names)) seen.push(...names.map(String))
      path = nextOf(answer)
    }
    check(seen.every((name, i) => i === 0 || name > (seen[i - 1] ?? '')), 'sorted, each once')
    check(repositories.every(name => seen.includes(name)), 'every repository is in the list')
  },

  'referrers of what nobody has are none': async subject => {
    const answer = await referrers(subject, subject.repository(), unknownDigest())
    sameDigests(answer, [])
    expectHeader(answer, 'content-type', OCI_INDEX)
    check(jsonOf(answer)['mediaType'] === OCI_INDEX && jsonOf(answer)['schemaVersion'] === 2, 'the list is an index')
  },
  'manifests and indexes with the subject are its referrers': async subject => {
    const { repository, base, all } = await withReferrers(subject)
    const answer = await referrers(subject, repository, base.digest)
    sameDigests(answer, all.map(({ digest }) => digest))
    for (const { digest, mediaType, bytes, document } of all) {
      const descriptor = descriptorsOf(answer).find(found => found['digest'] === digest)
      check(descriptor?.['mediaType'] === mediaType && descriptor['size'] === bytes.length, `type and size of ${digest}`)
      check(JSON.stringify(descriptor?.['annotations'] ?? {}) === JSON.stringify(document['annotations'] ?? {}), `annotations of ${digest}`)
    }
  },
  'the type of a referrer is its own, else its config\'s, else none': async subject => {
    const { repository, base, signature, plain, set } = await withReferrers(subject)
    const types = new Map(descriptorsOf(await referrers(subject, repository, base.digest)).map(found => [found['digest'], found['artifactType']]))
    check(types.get(signature.digest) === SIGNATURE, 'the manifest says it')
    check(types.get(plain.digest) === 'application/vnd.example.config', 'the config says it')
    check(types.get(set.digest) === undefined, `an index without one has none, not ${String(types.get(set.digest))}`)
  },
  'referrers are filtered by their type': async subject => {
    const { repository, base, signature } = await withReferrers(subject)
    const answer = await referrers(subject, repository, base.digest, `?artifactType=${encodeURIComponent(SIGNATURE)}`)
    if (answer.headers['oci-filters-applied'] === undefined) throw new Unsupported('the registry does not filter')
    expectHeader(answer, 'oci-filters-applied', 'artifactType')
    sameDigests(answer, [signature.digest])
    sameDigests(await referrers(subject, repository, base.digest, '?artifactType=application/none'), [])
  },
  'a subject may come after its referrers, or never': async subject => {
    const repository = subject.repository()
    const base = image()
    const early = artifact(SIGNATURE, { subject: childOf(base) })
    await subject.pushImage(repository, early.digest, early)
    sameDigests(await referrers(subject, repository, base.digest), [early.digest])
    await subject.pushImage(repository, 'base', base)
    sameDigests(await referrers(subject, repository, base.digest), [early.digest])
  },
  'a referrer that is pushed again is listed once': async subject => {
    const { repository, base, signature, all } = await withReferrers(subject)
    await subject.pushImage(repository, 'signature', signature)
    sameDigests(await referrers(subject, repository, base.digest), all.map(({ digest }) => digest))
  },
  'referrers are those of one repository': async subject => {
    const { base } = await withReferrers(subject)
    sameDigests(await referrers(subject, subject.repository(), base.digest), [])
  },
  'a subject by sha512 has referrers too': async subject => {
    const repository = subject.repository()
    const base = image({ algorithm: 'sha512' })
    await subject.pushImage(repository, base.digest, base)
    const signature = artifact(SIGNATURE, { subject: childOf(base) })
    const pushed = await subject.pushImage(repository, signature.digest, signature)
    expectHeader(pushed, 'oci-subject', base.digest)
    sameDigests(await referrers(subject, repository, base.digest), [signature.digest])
  },
  'what a client listed under the fall-back tag is listed': async subject => {
    const repository = subject.repository()
    const base = image()
    await subject.pushImage(repository, 'base', base)
    const old = artifact(SIGNATURE)
    await subject.pushImage(repository, old.digest, old)
    const list = manifestOf({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [childOf(old, { artifactType: SIGNATURE })] }, 'sha256', [], [old])
    await subject.pushImage(repository, base.digest.replace(':', '-'), list)
    sameDigests(await referrers(subject, repository, base.digest), [old.digest])
  },
  'referrers of a malformed digest are 400': async subject => {
    const answer = await subject.get(`/v2/${subject.repository()}/referrers/sha256:short`)
    if (answer.status === 404) throw new Unsupported('there are no referrers')
    expectStatus(answer, 400)
  }
})

async function tagged (subject: Subject): Promise<string> {
  const repository = subject.repository()
  const manifest = image()
  for (const tag of ['v10', 'b', 'Z', 'v2', 'latest', 'v1', 'a', '_under']) await subject.pushImage(repository, tag, manifest)
  return repository
}

interface Referred {
  readonly repository: string
  readonly base: Manifest
  readonly signature: Manifest
  readonly plain: Manifest
  readonly set: Manifest
  readonly all: readonly Manifest[]
}

async function withReferrers (subject: Subject): Promise<Referred> {
  const repository = subject.repository()
  const base = image()
  await subject.pushImage(repository, 'base', base)
  const about = { subject: childOf(base) }
  const signature = artifact(SIGNATURE, { ...about, annotations: { 'org.example.by': 'somebody' } })
  const plain = artifact(undefined, about, 'application/vnd.example.config')
  const set = index([image()], { extra: about })
  const all = [signature, plain, set]
  for (const manifest of all) await subject.pushImage(repository, manifest.digest, manifest)
  return { repository, base, signature, plain, set, all }
}

async function referrers (subject: Subject, repository: string, digest: string, query = ''): Promise<Answer> {
  const answer = await subject.get(`/v2/${repository}/referrers/${digest}${query}`)
  if (answer.status === 404) throw new Unsupported('there are no referrers')
  return expectStatus(answer, 200)
}

function tagsOf (answer: Answer): string[] {
  const { tags } = jsonOf(answer)
  return Array.isArray(tags) ? tags.map(String) : []
}

function sameTags (found: readonly string[], wanted: readonly string[]): void {
  check(found.join() === wanted.join(), `the tags are ${found.join()} instead of ${wanted.join()}`)
}

export function descriptorsOf (answer: Answer): Array<Record<string, unknown>> {
  const { manifests } = jsonOf(answer)
  if (!Array.isArray(manifests)) throw new Wrong(`${answer.call} came without a list of manifests`)
  return manifests.map((found: unknown) => ({ ...(typeof found === 'object' ? found : {}) }))
}

export function sameDigests (answer: Answer, wanted: readonly string[]): void {
  const found = descriptorsOf(answer).map(({ digest }) => String(digest)).sort()
  check(found.join() === [...wanted].sort().join(), `${answer.call} lists ${found.length} manifests instead of ${wanted.length}, or others`)
}

/** Where the next page is. */
function nextOf ({ headers, url }: Answer): string | undefined {
  const link = /<([^>]*)>\s*;\s*rel="?next"?/.exec(String(headers.link ?? ''))?.[1]
  if (link === undefined) return undefined
  const next = new URL(link, url)
  return next.pathname + next.search
}
