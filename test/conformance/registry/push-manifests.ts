import { randomBytes } from 'node:crypto'
import {
  artifact, blobOf, childOf, descriptorOf, EMPTY_JSON, image, index, type Manifest, manifestOf, OCI_CONFIG, OCI_IMAGE, OCI_LAYER, randomBlob,
  unknownDigest
} from './content.js'
import { type Case, casesOf } from './case.js'
import { check, expectBody, expectError, expectHeader, expectStatus, locationOf, type Subject, Unsupported } from './subject.js'

const MIB = 1024 * 1024
const FOREIGN = 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip'

/** What must be taken in, besides plain images. */
const KINDS: Readonly<Record<string, () => Manifest>> = {
  'an image': () => image(),
  'an image without layers': () => image({ layers: 0 }),
  'an index': () => index([image(), image()]),
  'an index of indexes': () => index([index([image()]), index([image()])]),
  'an empty index': () => index([], { extra: { annotations: { salt: salt() } } }),
  'an artifact': () => artifact('application/vnd.example.sbom+json'),
  'an artifact that is an index': () => index([artifact('application/vnd.example.sbom+json')], { extra: { artifactType: 'application/vnd.example.set' } }),
  'an artifact of empty JSON objects': () => image({ layers: 0, extra: emptyArtifact() }),
  'a config of any media type': () => artifact(undefined, {}, 'application/vnd.example.config+yaml'),
  'descriptors that carry their data': () => withData(),
  'unknown members': () => image({ extra: { 'org.example.member': [{ deep: true }, 1.5, null], another: 'text' } }),
  'a manifest of nearly 4 MiB': () => image({ extra: { annotations: Object.fromEntries(Array.from({ length: 390 }, (_, i) => [`large-${i}`, 'A'.repeat(10_000)])) } }),
  'a subject that is not there': () => artifact('application/vnd.example.sig', { subject: absentSubject() }),
  'layers that stay with their licensor': () => withForeignLayers()
}

/** Manifests (http-api specification 9.2). */
export const MANIFEST_CASES: readonly Case[] = casesOf('push', {
  ...Object.fromEntries(Object.entries(KINDS).map(([what, make]) => [`${what} is accepted`, async (subject: Subject) => {
    const manifest = make()
    for (const reference of [manifest.digest, 'v1']) {
      const repository = subject.repository()
      const answer = await subject.pushImage(repository, reference, manifest)
      expectHeader(answer, 'docker-content-digest', manifest.digest)
      expectBody(expectStatus(await subject.writes.call('GET', locationOf(answer), { headers: { Accept: manifest.mediaType } }), 200), manifest.bytes)
      expectBody(expectStatus(await subject.getManifest(repository, reference), 200), manifest.bytes)
    }
  }])),

  'a manifest that is too large is 413': async subject => {
    const repository = subject.repository()
    const manifest = image({ extra: { annotations: { large: 'A'.repeat(33 * MIB) } } })
    const status = (await subject.putManifest(repository, 'v1', manifest)).status
    check(status === 413, `33 MiB were answered ${status} instead of 413`)
    expectStatus(await subject.getManifest(repository, 'v1'), 404)
  },
  'a digest that is not the manifest\'s, or none, is 400': async subject => {
    const repository = subject.repository()
    const manifest = image()
    for (const blob of manifest.blobs) await subject.pushBlob(repository, blob)
    for (const reference of [unknownDigest(), unknownDigest('sha512'), 'sha256:baddigeststring', `md5:${'a'.repeat(32)}`]) {
      expectStatus(await subject.putManifest(repository, reference, manifest), 400)
    }
    expectStatus(await subject.getManifest(repository, manifest.digest), 404)
  },
  'what is no manifest is 400': async subject => {
    const repository = subject.repository()
    for (const text of ['', '{', '[]', 'null', '"text"', '{"schemaVersion":1}', '{"schemaVersion":2}', '\u0000', '{"schemaVersion":2,"config":{},"layers":7}']) {
      expectStatus(await subject.putManifest(repository, 'v1', { bytes: Buffer.from(text), mediaType: OCI_IMAGE }), 400)
    }
    expectStatus(await subject.getManifest(repository, 'v1'), 404)
  },
  'a media type that contradicts the manifest is 400': async subject => {
    const repository = subject.repository()
    const manifest = image()
    for (const blob of manifest.blobs) await subject.pushBlob(repository, blob)
    for (const mediaType of ['application/vnd.oci.image.index.v1+json', 'text/plain']) {
      expectStatus(await subject.putManifest(repository, 'v1', { ...manifest, mediaType }), 400)
    }
  },
  'a manifest whose blobs are missing is refused with their code, or taken': async subject => {
    const repository = subject.repository()
    const manifest = image()
    const answer = await subject.putManifest(repository, 'v1', manifest)
    if (answer.status !== 201) expectError(answer, [400, 404], 'MANIFEST_BLOB_UNKNOWN', 'BLOB_UNKNOWN')
    const child = await subject.putManifest(repository, 'v1', index([image()]))
    if (child.status !== 201) expectError(child, [400, 404], 'MANIFEST_BLOB_UNKNOWN', 'MANIFEST_UNKNOWN')
  },
  'a tag may be as long as the specification says, and no longer': async subject => {
    const repository = subject.repository()
    const manifest = image()
    await subject.pushImage(repository, 'T_1-x.'.padEnd(128, 'y'), manifest)
    expectStatus(await subject.putManifest(repository, 'y'.repeat(129), manifest), 400, 404)
    expectStatus(await subject.putManifest(repository, '.dot', manifest), 400, 404)
  },
  'a tag that is pushed again moves at once': async subject => {
    const repository = subject.repository()
    for (const manifest of [image(), image(), image()]) {
      await subject.pushImage(repository, 'moving', manifest)
      expectBody(expectStatus(await subject.getManifest(repository, 'moving'), 200), manifest.bytes)
    }
  },

  'the answer names the subject of an image and of an index': async subject => {
    const repository = subject.repository()
    const base = image()
    await subject.pushImage(repository, 'base', base)
    for (const referrer of [artifact('application/vnd.example.sig', { subject: childOf(base) }), index([], { extra: { subject: childOf(base) } })]) {
      const answer = await subject.pushImage(repository, referrer.digest, referrer)
      if (answer.headers['oci-subject'] === undefined) throw new Unsupported('no OCI-Subject: clients keep lists of referrers themselves')
      expectHeader(answer, 'oci-subject', base.digest)
    }
  },
  'a manifest by its digest can be given tags': async subject => {
    for (const manifest of [image(), image({ algorithm: 'sha512' })]) {
      const repository = subject.repository()
      for (const blob of manifest.blobs) await subject.pushBlob(repository, blob)
      const tags = Array.from({ length: 10 }, (_, i) => `t${i}`)
      const answer = expectStatus(await subject.putManifest(repository, manifest.digest, manifest, `?${tags.map(tag => `tag=${tag}`).join('&')}`), 201)
      const named = String(answer.headers['oci-tag'] ?? '')
      if (named === '') throw new Unsupported('no OCI-Tag')
      check(tags.every(tag => named.split(', ').includes(tag)), `the answer names ${named}`)
      for (const tag of tags) {
        const got = expectBody(expectStatus(await subject.getManifest(repository, tag), 200), manifest.bytes)
        expectHeader(got, 'docker-content-digest', manifest.digest)
      }
    }
  },
  'an image by sha512 is accepted': async subject => {
    const repository = subject.repository()
    const manifest = index([image({ algorithm: 'sha512' }), image()], { algorithm: 'sha512' })
    const answer = await subject.pushImage(repository, manifest.digest, manifest)
    expectHeader(answer, 'docker-content-digest', manifest.digest)
    expectBody(expectStatus(await subject.writes.call('GET', locationOf(answer), { headers: { Accept: manifest.mediaType } }), 200), manifest.bytes)
  }
})

function salt (): string { return randomBytes(8).toString('hex') }

function emptyArtifact (): Record<string, unknown> {
  const empty = descriptorOf(blobOf('{}'), EMPTY_JSON)
  return { artifactType: 'application/vnd.example.empty', config: empty, layers: [empty], annotations: { salt: salt() } }
}

function withData (): Manifest {
  const [config, layer] = [blobOf(JSON.stringify({ salt: salt() })), randomBlob(50)]
  const carried = [config, layer].map(({ bytes }) => ({ data: bytes.toString('base64') }))
  const document = {
    schemaVersion: 2, mediaType: OCI_IMAGE, config: descriptorOf(config, OCI_CONFIG, carried[0]), layers: [descriptorOf(layer, OCI_LAYER, carried[1])]
  }
  return manifestOf(document, 'sha256', [config, layer])
}

function withForeignLayers (): Manifest {
  const base = image({ layers: 1 })
  const layers: unknown = base.document['layers']
  const foreign = Array.from({ length: 2 }, () => {
    const digest = unknownDigest()
    return { mediaType: FOREIGN, digest, size: 12_345, urls: [`https://store.example.com/${digest}`] }
  })
  return manifestOf({ ...base.document, layers: [...foreign, ...(Array.isArray(layers) ? layers : [])] }, 'sha256', base.blobs)
}

function absentSubject (): object { return { mediaType: OCI_IMAGE, digest: unknownDigest(), size: 123 } }
