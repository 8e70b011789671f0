import {
  ACCEPT_OCI, artifact, blobOf, DOCKER_IMAGE, DOCKER_LIST, image, index, type Manifest, manifestOf, OCI_IMAGE, randomBlob, unknownDigest
} from './content.js'
import { type Case, casesOf } from './case.js'
import { type Answer } from './endpoint.js'
import { check, expectBody, expectError, expectHeader, expectStatus, type Subject } from './subject.js'

/** Pull (http-api specification 9.1). */
export const PULL_CASES: readonly Case[] = casesOf('pull', {
  'the base path answers 200': async subject => { expectStatus(await subject.get('/v2/'), 200) },

  'an image is got by its tag and by its digest, to the byte': async subject => { await pullsBack(subject, image()) },
  'an index is got by its tag and by its digest, to the byte': async subject => { await pullsBack(subject, index([image(), image()])) },
  'a Docker image keeps its media type': async subject => { await pullsBack(subject, image({ extra: { mediaType: DOCKER_IMAGE } })) },
  'a Docker list keeps its media type': async subject => {
    await pullsBack(subject, index([image({ extra: { mediaType: DOCKER_IMAGE } })], { extra: { mediaType: DOCKER_LIST } }))
  },
  'white space and unknown members of a manifest stay': async subject => {
    const { document, blobs } = image({ extra: { 'org.example.unknown': { deep: [1, null, 'x'] } } })
    const { bytes, digest } = blobOf(` ${JSON.stringify(document, null, 3)}\n`)
    await pullsBack(subject, { ...manifestOf(document, 'sha256', blobs), bytes, digest })
  },

  'content of the image specification is there for who accepts nothing else': async subject => {
    const repository = subject.repository()
    const manifest = index([image()])
    await subject.pushImage(repository, 'v1', manifest)
    for (const reference of ['v1', manifest.digest]) {
      expectBody(expectStatus(await subject.getManifest(repository, reference, { headers: ACCEPT_OCI }), 200), manifest.bytes)
    }
  },
  'a manifest is there for who accepts anything, or says nothing': async subject => {
    const repository = subject.repository()
    const manifest = image()
    await subject.pushImage(repository, 'v1', manifest)
    const accepted: ReadonlyArray<Record<string, string>> = [{}, { Accept: '*/*' }, { Accept: `${OCI_IMAGE};q=0.5, application/json` }]
    for (const headers of accepted) {
      expectBody(expectStatus(await subject.getManifest(repository, 'v1', { headers }), 200), manifest.bytes)
    }
  },

  'an unknown tag, manifest and repository are 404 with their codes': async subject => {
    const repository = subject.repository()
    await subject.pushImage(repository, 'v1', image())
    for (const reference of ['none', unknownDigest()]) {
      expectError(await subject.getManifest(repository, reference), [404], 'MANIFEST_UNKNOWN')
      expectBody(expectStatus(await subject.headManifest(repository, reference), 404), Buffer.alloc(0))
    }
    expectError(await subject.getManifest(subject.repository(), 'v1'), [404], 'MANIFEST_UNKNOWN', 'NAME_UNKNOWN')
  },
  'a malformed digest is 400 or 404': async subject => {
    const repository = subject.repository()
    await subject.pushImage(repository, 'v1', image())
    for (const digest of ['sha256:short', `sha256:${'z'.repeat(64)}`, `sha512:${'a'.repeat(64)}`, `md5:${'a'.repeat(32)}`]) {
      expectStatus(await subject.getManifest(repository, digest), 400, 404)
      expectStatus(await subject.getBlob(repository, digest), 400, 404)
    }
  },
  'a malformed repository name is 400 or 404': async subject => {
    for (const name of ['Upper/Case', '-dash', 'a//b', 'a'.repeat(300)]) expectStatus(await subject.getManifest(name, 'v1'), 301, 308, 400, 404)
  },

  'a blob is got to the byte, and HEAD says its size': async subject => {
    const repository = subject.repository()
    const blob = randomBlob(70_000)
    await subject.pushBlob(repository, blob)
    const answer = expectBody(expectStatus(await subject.getBlob(repository, blob.digest), 200), blob.bytes)
    const head = expectBody(expectStatus(await subject.head(`/v2/${repository}/blobs/${blob.digest}`), 200), Buffer.alloc(0))
    for (const each of [answer, head]) expectHeader(expectHeader(each, 'content-length', '70000'), 'docker-content-digest', blob.digest)
  },
  'an unknown blob is 404 with its code': async subject => {
    const repository = subject.repository()
    await subject.pushBlob(repository, randomBlob())
    expectError(await subject.getBlob(repository, unknownDigest()), [404], 'BLOB_UNKNOWN')
    expectBody(expectStatus(await subject.head(`/v2/${repository}/blobs/${unknownDigest()}`), 404), Buffer.alloc(0))
  },
  'ranges of a blob are 206 with the bytes that they name': async subject => {
    const { repository, blob } = await pushedBlob(subject, 2048)
    for (const [range, from, to] of [['500-1499', 500, 1500], ['500-', 500, 2048], ['-500', 1548, 2048], ['2000-5000', 2000, 2048], ['0-0', 0, 1]] as const) {
      const answer = expectStatus(await subject.getBlob(repository, blob.digest, { Range: `bytes=${range}` }), 206)
      expectBody(expectHeader(answer, 'content-length', String(to - from)), blob.bytes.subarray(from, to))
      expectHeader(answer, 'content-range', `bytes ${from}-${to - 1}/2048`)
    }
  },
  'a range that names no byte is 416': async subject => {
    const { repository, blob } = await pushedBlob(subject, 2048)
    for (const range of ['500-0', '5000-10000', '2048-']) expectStatus(await subject.getBlob(repository, blob.digest, { Range: `bytes=${range}` }), 416)
  },
  'content that is known already is 304': async subject => {
    const repository = subject.repository()
    const manifest = image()
    await subject.pushImage(repository, 'v1', manifest)
    const known = { headers: { ...ACCEPT_OCI, 'If-None-Match': `"${manifest.digest}"` } }
    expectBody(expectStatus(await subject.getManifest(repository, 'v1', known), 304), Buffer.alloc(0))
    const [blob] = manifest.blobs
    check(blob !== undefined, 'the image has blobs')
    expectStatus(await subject.getBlob(repository, blob?.digest ?? '', { 'If-None-Match': `"${blob?.digest ?? ''}"` }), 304)
  },
  'the empty blob and the empty JSON object are blobs like others': async subject => {
    const repository = subject.repository()
    for (const blob of [blobOf(''), blobOf('{}')]) {
      await subject.pushBlob(repository, blob)
      expectBody(expectHeader(expectStatus(await subject.getBlob(repository, blob.digest), 200), 'content-length', String(blob.bytes.length)), blob.bytes)
    }
  },

  'blobs and manifests are addressed by their sha512': async subject => {
    const repository = subject.repository()
    const manifest = index([image({ algorithm: 'sha512' })], { algorithm: 'sha512' })
    await subject.pushImage(repository, manifest.digest, manifest)
    for (const each of [manifest, ...manifest.children]) {
      isManifest(await subject.getManifest(repository, each.digest), each)
      isManifest(await subject.headManifest(repository, each.digest), each)
      for (const blob of each.blobs) {
        const answer = expectBody(expectStatus(await subject.getBlob(repository, blob.digest), 200), blob.bytes)
        expectHeader(answer, 'docker-content-digest', blob.digest)
        const part = expectStatus(await subject.getBlob(repository, blob.digest, { Range: 'bytes=1-2' }), 206)
        expectBody(part, blob.bytes.subarray(1, 3))
      }
    }
    expectStatus(await subject.getBlob(repository, unknownDigest('sha512')), 404)
    expectStatus(await subject.getManifest(repository, unknownDigest('sha512')), 404)
  },
  'an artifact is pulled like an image': async subject => { await pullsBack(subject, artifact('application/vnd.example+type')) },

  'parameters that mean nothing are ignored': async subject => {
    const { repository, blob } = await pushedBlob(subject, 10)
    expectStatus(await subject.get(`/v2/${repository}/blobs/${blob.digest}?ns=registry.example`), 200)
    expectStatus(await subject.get('/v2/?ns=registry.example'), 200)
  },
  'an unknown path is 404': async subject => { expectStatus(await subject.get(`/v2/${subject.repository()}/unheard-of`), 404) }
})

async function pushedBlob (subject: Subject, sizeBytes: number): Promise<{ repository: string, blob: ReturnType<typeof randomBlob> }> {
  const repository = subject.repository()
  const blob = randomBlob(sizeBytes)
  await subject.pushBlob(repository, blob)
  return { repository, blob }
}

async function pullsBack (subject: Subject, manifest: Manifest): Promise<void> {
  const repository = subject.repository()
  await subject.pushImage(repository, 'v1', manifest)
  for (const reference of ['v1', manifest.digest]) {
    isManifest(await subject.getManifest(repository, reference), manifest)
    isManifest(await subject.headManifest(repository, reference), manifest)
  }
}

function isManifest (answer: Answer, manifest: Manifest): void {
  expectHeader(expectStatus(answer, 200), 'content-type', manifest.mediaType)
  expectHeader(answer, 'docker-content-digest', manifest.digest)
  expectHeader(answer, 'content-length', String(manifest.bytes.length))
  expectBody(answer, answer.call.startsWith('HEAD') ? Buffer.alloc(0) : manifest.bytes)
}
