import { Readable } from 'node:stream'
import { type Algorithm, type Blob, blobOf, digestOf, randomBlob, unknownDigest } from './content.js'
import { type Case, casesOf } from './case.js'
import { type Answer } from './endpoint.js'
import { BINARY, check, expectBody, expectError, expectHeader, expectStatus, locationOf, type Subject, Unsupported, withQuery } from './subject.js'

/** How a blob comes to the registry; `digest` may be another one than that of its bytes. */
type Way = (subject: Subject, repository: string, blob: Blob) => Promise<Answer>

const ALGORITHMS: readonly Algorithm[] = ['sha256', 'sha512']
const CHUNKS = [0, 700, 1400, 2000]

const WAYS: Readonly<Record<string, Way>> = {
  'POST, then PUT with the body': async (subject, repository, { bytes, digest }) => {
    const location = locationOf(await subject.startUpload(repository))
    return await subject.writes.call('PUT', withQuery(location, { digest }), { headers: BINARY, body: bytes })
  },
  'one POST': async (subject, repository, { bytes, digest }) => {
    const answer = await subject.writes.call('POST', `/v2/${repository}/blobs/uploads/?digest=${encodeURIComponent(digest)}`, { headers: BINARY, body: bytes })
    if (answer.status === 202) throw new Unsupported('the registry wants a PUT after the POST')
    return answer
  },
  'one streamed PATCH': async (subject, repository, { bytes, digest }) => {
    const location = locationOf(await subject.startUpload(repository))
    const body = Readable.from([bytes.subarray(0, 300), bytes.subarray(300)])
    const patched = expectStatus(await subject.writes.call('PATCH', location, { headers: BINARY, body }), 202)
    return await subject.writes.call('PUT', withQuery(locationOf(patched), { digest }))
  },
  chunks: async (subject, repository, { bytes, digest }) => {
    const location = await sendChunks(subject, await subject.startUpload(repository), bytes, CHUNKS)
    return await subject.writes.call('PUT', withQuery(location, { digest }))
  },
  'chunks, the last one in the PUT': async (subject, repository, { bytes, digest }) => {
    const location = await sendChunks(subject, await subject.startUpload(repository), bytes, CHUNKS.slice(0, -1))
    return await subject.writes.call('PUT', withQuery(location, { digest }), chunkOf(bytes, 1400, bytes.length))
  }
}

/** Uploads of blobs (http-api specification 9.2). */
export const BLOB_CASES: readonly Case[] = casesOf('push', {
  ...Object.fromEntries(Object.entries(WAYS).flatMap(([name, way]) => [
    ...ALGORITHMS.map(algorithm => [`a blob is pushed by ${name}, ${algorithm}`, async (subject: Subject) => {
      const repository = subject.repository()
      const blob = randomBlob(2000, algorithm)
      await isPushed(subject, repository, blob, await way(subject, repository, blob))
    }] as const),
    [`a wrong digest is 400 by ${name}, and nothing is kept`, async (subject: Subject) => {
      for (const algorithm of ALGORITHMS) {
        const repository = subject.repository()
        const blob = randomBlob(2000)
        const claimed = unknownDigest(algorithm)
        expectError(await way(subject, repository, { ...blob, digest: claimed }), [400], 'DIGEST_INVALID')
        expectStatus(await subject.getBlob(repository, claimed), 404)
        expectStatus(await subject.getBlob(repository, blob.digest), 404)
      }
    }] as const
  ])),

  'POST begins an upload that has a name': async subject => {
    const answer = await subject.startUpload(subject.repository())
    check(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/.test(locationOf(answer).pathname), 'the Location names the upload')
  },
  'a digest that is malformed, unknown or missing is 400': async subject => {
    const repository = subject.repository()
    for (const query of ['?digest=sha256:abc', '?digest=sha256:', `?digest=md5:${'a'.repeat(32)}`, '?digest=nothing', '?digest=', '']) {
      const location = locationOf(await subject.startUpload(repository))
      const target = new URL(location)
      for (const [key, value] of new URLSearchParams(query)) target.searchParams.set(key, value)
      expectStatus(await subject.writes.call('PUT', target, { headers: BINARY, body: 'x' }), 400)
    }
  },
  'an upload says how far it is': async subject => {
    const started = await subject.startUpload(subject.repository())
    expectStatus(await subject.writes.call('GET', locationOf(started)), 204)
    const patched = expectStatus(await subject.writes.call('PATCH', locationOf(started), chunkOf(Buffer.alloc(100), 0, 100)), 202)
    expectHeader(patched, 'range', '0-99')
    const status = expectStatus(await subject.writes.call('GET', locationOf(patched)), 204)
    expectHeader(status, 'range', '0-99')
    locationOf(status)
  },
  'a chunk out of order is 416, and the upload goes on': async subject => {
    const repository = subject.repository()
    const blob = randomBlob(2000)
    let location = locationOf(await subject.startUpload(repository))
    for (const [from, to] of [[0, 700], [700, 1400], [1400, 2000]] as const) {
      const wrongFrom = to >= 2000 ? 0 : to
      expectStatus(await subject.writes.call('PATCH', location, chunkOf(blob.bytes, wrongFrom, Math.min(wrongFrom + 700, 2000))), 416)
      const status = expectStatus(await subject.writes.call('GET', location), 204)
      if (from > 0) expectHeader(status, 'range', `0-${from - 1}`)
      location = locationOf(expectStatus(await subject.writes.call('PATCH', locationOf(status), chunkOf(blob.bytes, from, to)), 202))
    }
    await isPushed(subject, repository, blob, await subject.writes.call('PUT', withQuery(location, { digest: blob.digest })))
  },
  'a closing PUT out of order is 416, and the upload goes on': async subject => {
    const repository = subject.repository()
    const blob = randomBlob(2000)
    const location = await sendChunks(subject, await subject.startUpload(repository), blob.bytes, [0, 700])
    const target = withQuery(location, { digest: blob.digest })
    expectStatus(await subject.writes.call('PUT', target, chunkOf(blob.bytes, 1400, 2000)), 416)
    expectHeader(expectStatus(await subject.writes.call('GET', location), 204), 'range', '0-699')
    await isPushed(subject, repository, blob, await subject.writes.call('PUT', target, chunkOf(blob.bytes, 700, 2000)))
  },
  'a cancelled upload is gone, and so is what it was to become': async subject => {
    const repository = subject.repository()
    const blob = randomBlob(500)
    const started = await subject.startUpload(repository)
    const location = await sendChunks(subject, started, blob.bytes, [0, 500])
    expectStatus(await subject.writes.call('DELETE', location), 204)
    expectStatus(await subject.writes.call('GET', location), 404)
    expectStatus(await subject.writes.call('PUT', withQuery(location, { digest: blob.digest })), 404)
    expectStatus(await subject.getBlob(repository, blob.digest), 404)
  },
  'an upload that never was is 404': async subject => {
    const repository = subject.repository()
    const path = `/v2/${repository}/blobs/uploads/00000000-0000-4000-8000-000000000000`
    for (const method of ['GET', 'PATCH', 'DELETE']) {
      expectError(await subject.writes.call(method, path), [404], 'BLOB_UPLOAD_UNKNOWN', 'BLOB_UPLOAD_INVALID')
    }
  },
  'a blob can be pushed again': async subject => {
    const repository = subject.repository()
    const blob = randomBlob()
    for (let i = 0; i < 2; i++) await isPushed(subject, repository, blob, await subject.pushBlob(repository, blob))
  },
  'the algorithm of a digest can be said in advance': async subject => {
    const repository = subject.repository()
    const blob = randomBlob(300, 'sha512')
    const location = locationOf(await subject.startUpload(repository, '?digest-algorithm=sha512'))
    await isPushed(subject, repository, blob, await subject.writes.call('PUT', withQuery(location, { digest: blob.digest }), { headers: BINARY, body: blob.bytes }))
  },

  ...Object.fromEntries(ALGORITHMS.map(algorithm => [`a blob is mounted from the repository that has it, ${algorithm}`, async (subject: Subject) => {
    const [source, target] = [subject.repository(), subject.repository()]
    const blob = randomBlob(400, algorithm)
    await subject.pushBlob(source, blob)
    await isPushed(subject, target, blob, await mount(subject, target, { mount: blob.digest, from: source }))
  }])),
  'a blob is mounted from wherever it is': async subject => {
    const [source, target] = [subject.repository(), subject.repository()]
    const blob = randomBlob(400)
    await subject.pushBlob(source, blob)
    await isPushed(subject, target, blob, await mount(subject, target, { mount: blob.digest }))
  },
  'a mount of what is nowhere begins an upload': async subject => {
    const [source, target] = [subject.repository(), subject.repository()]
    const blob = randomBlob(400)
    const query = new URLSearchParams({ mount: blob.digest, from: source })
    const location = locationOf(expectStatus(await subject.writes.call('POST', `/v2/${target}/blobs/uploads/?${query}`), 202))
    await isPushed(subject, target, blob, await subject.writes.call('PUT', withQuery(location, { digest: blob.digest }), { headers: BINARY, body: blob.bytes }))
  },
  'the empty blob needs no body': async subject => {
    const repository = subject.repository()
    for (const algorithm of ALGORITHMS) {
      const empty = blobOf('', algorithm)
      const location = locationOf(await subject.startUpload(repository))
      await isPushed(subject, repository, empty, await subject.writes.call('PUT', withQuery(location, { digest: digestOf('', algorithm) })))
    }
  }
})

async function mount (subject: Subject, target: string, query: Record<string, string>): Promise<Answer> {
  const answer = await subject.writes.call('POST', `/v2/${target}/blobs/uploads/?${new URLSearchParams(query)}`)
  if (answer.status === 202) throw new Unsupported('the registry wants an upload')
  return answer
}

/** Sends the bytes between these cuts, each part as a chunk, and returns where the upload goes on. */
async function sendChunks (subject: Subject, started: Answer, bytes: Buffer, cuts: readonly number[]): Promise<URL> {
  let location = locationOf(started)
  for (const [i, to] of cuts.slice(1).entries()) {
    const patched = expectStatus(await subject.writes.call('PATCH', location, chunkOf(bytes, cuts[i] ?? 0, to)), 202)
    expectHeader(patched, 'range', `0-${to - 1}`)
    location = locationOf(patched)
  }
  return location
}

function chunkOf (bytes: Buffer, from: number, to: number): { headers: Record<string, string>, body: Buffer } {
  return { headers: { ...BINARY, 'Content-Range': `${from}-${to - 1}` }, body: bytes.subarray(from, to) }
}

/** The blob was accepted, is where the answer says, and in its repository. */
async function isPushed (subject: Subject, repository: string, { bytes, digest }: Blob, answer: Answer): Promise<void> {
  const location = locationOf(expectStatus(answer, 201))
  const named = answer.headers['docker-content-digest']
  check(named === undefined || named === digest, `${answer.call} came with the digest ${String(named)} instead of ${digest}`)
  expectBody(expectStatus(await subject.writes.call('GET', location), 200), bytes)
  expectBody(expectStatus(await subject.getBlob(repository, digest), 200), bytes)
}
