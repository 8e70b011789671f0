import { artifact, type Blob, childOf, image, index, randomBlob, unknownDigest } from './content.js'
import { type Case, casesOf } from './case.js'
import { sameDigests } from './discovery.js'
import { type Answer } from './endpoint.js'
import { expectBody, expectError, expectStatus, jsonOf, check, type Subject } from './subject.js'

/** Content management (http-api specification 9.4). What was deleted is gone when the answer is there. */
export const MANAGEMENT_CASES: readonly Case[] = casesOf('management', {
  'a deleted tag is gone, its manifest and other tags stay': async subject => {
    const repository = subject.repository()
    const manifest = image()
    for (const tag of ['v1', 'v2']) await subject.pushImage(repository, tag, manifest)
    expectStatus(await subject.delete(`/v2/${repository}/manifests/v1`), 202)
    expectError(await subject.getManifest(repository, 'v1'), [404], 'MANIFEST_UNKNOWN')
    expectBody(expectStatus(await subject.getManifest(repository, manifest.digest), 200), manifest.bytes)
    expectStatus(await subject.getManifest(repository, 'v2'), 200)
    check(JSON.stringify(jsonOf(await subject.get(`/v2/${repository}/tags/list`))['tags']) === '["v2"]', 'the list has the other one only')
    expectStatus(await subject.delete(`/v2/${repository}/manifests/v1`), 404)
  },
  'a deleted tag can be pushed again': async subject => {
    const repository = subject.repository()
    await subject.pushImage(repository, 'v1', image())
    expectStatus(await subject.delete(`/v2/${repository}/manifests/v1`), 202)
    const manifest = image()
    await subject.pushImage(repository, 'v1', manifest)
    expectBody(expectStatus(await subject.getManifest(repository, 'v1'), 200), manifest.bytes)
  },
  'a deleted manifest is gone with every tag on it': async subject => {
    const repository = subject.repository()
    const [manifest, other] = [image(), image()]
    for (const tag of ['a', 'b', 'c']) await subject.pushImage(repository, tag, manifest)
    await subject.pushImage(repository, 'other', other)
    expectStatus(await subject.delete(`/v2/${repository}/manifests/${manifest.digest}`), 202)
    for (const reference of [manifest.digest, 'a', 'b', 'c']) {
      expectStatus(await subject.headManifest(repository, reference), 404)
      expectError(await subject.getManifest(repository, reference), [404], 'MANIFEST_UNKNOWN')
    }
    expectStatus(await subject.getManifest(repository, 'other'), 200)
    expectStatus(await subject.delete(`/v2/${repository}/manifests/${manifest.digest}`), 404)
  },
  'a deleted manifest can be pushed again': async subject => {
    const repository = subject.repository()
    const manifest = image()
    await subject.pushImage(repository, 'v1', manifest)
    expectStatus(await subject.delete(`/v2/${repository}/manifests/${manifest.digest}`), 202)
    await subject.pushImage(repository, 'v1', manifest)
    for (const reference of [manifest.digest, 'v1']) expectBody(expectStatus(await subject.getManifest(repository, reference), 200), manifest.bytes)
  },
  'a manifest deleted here stays elsewhere': async subject => {
    const [here, elsewhere] = [subject.repository(), subject.repository()]
    const manifest = image()
    for (const repository of [here, elsewhere]) await subject.pushImage(repository, 'v1', manifest)
    expectStatus(await subject.delete(`/v2/${here}/manifests/${manifest.digest}`), 202)
    for (const reference of ['v1', manifest.digest]) expectStatus(await subject.getManifest(elsewhere, reference), 200)
  },
  'an index and its children are deleted one by one': async subject => {
    const repository = subject.repository()
    const manifest = index([image(), image()])
    await subject.pushImage(repository, 'v1', manifest)
    for (const { digest } of [manifest, ...manifest.children]) {
      expectStatus(await subject.delete(`/v2/${repository}/manifests/${digest}`), 202)
      expectStatus(await subject.headManifest(repository, digest), 404)
    }
  },
  'a deleted blob is gone, and can be pushed again': async subject => {
    const repository = subject.repository()
    const blob = randomBlob(500)
    for (let i = 0; i < 2; i++) {
      await subject.pushBlob(repository, blob)
      expectBody(expectStatus(await subject.getBlob(repository, blob.digest), 200), blob.bytes)
      await isDeleted(subject, repository, blob.digest)
    }
  },
  'a blob deleted here stays where it was mounted': async subject => {
    const { here, elsewhere, blob } = await pushSomewhere(subject)
    if ((await mount(subject, elsewhere, here, blob.digest)).status !== 201) await subject.pushBlob(elsewhere, blob)
    await isDeleted(subject, here, blob.digest)
    expectBody(expectStatus(await subject.getBlob(elsewhere, blob.digest), 200), blob.bytes)
    await isDeleted(subject, elsewhere, blob.digest)
  },
  'a blob that was deleted is not mounted from there': async subject => {
    const { here, elsewhere, blob } = await pushSomewhere(subject)
    await isDeleted(subject, here, blob.digest)
    expectStatus(await mount(subject, elsewhere, here, blob.digest), 202)
  },
  'what is not there cannot be deleted': async subject => {
    const repository = subject.repository()
    await subject.pushImage(repository, 'v1', image())
    expectError(await subject.delete(`/v2/${repository}/manifests/none`), [404], 'MANIFEST_UNKNOWN')
    expectError(await subject.delete(`/v2/${repository}/manifests/${unknownDigest()}`), [404], 'MANIFEST_UNKNOWN')
    expectError(await subject.delete(`/v2/${repository}/blobs/${unknownDigest()}`), [404], 'BLOB_UNKNOWN')
    expectStatus(await subject.delete(`/v2/${subject.repository()}/manifests/v1`), 404)
  },
  'what was pushed by sha512 is deleted by it': async subject => {
    const repository = subject.repository()
    const manifest = image({ algorithm: 'sha512' })
    await subject.pushImage(repository, manifest.digest, manifest)
    expectStatus(await subject.delete(`/v2/${repository}/manifests/${manifest.digest}`), 202)
    expectStatus(await subject.headManifest(repository, manifest.digest), 404)
    for (const { digest } of manifest.blobs) await isDeleted(subject, repository, digest)
  },
  'a deleted referrer is no longer listed': async subject => {
    const repository = subject.repository()
    const base = image()
    await subject.pushImage(repository, 'base', base)
    const referrers = [1, 2].map(() => artifact('application/vnd.example.sig', { subject: childOf(base) }))
    for (const referrer of referrers) await subject.pushImage(repository, referrer.digest, referrer)
    const left = referrers.map(({ digest }) => digest)
    for (const { digest } of referrers) {
      expectStatus(await subject.delete(`/v2/${repository}/manifests/${digest}`), 202)
      left.shift()
      const answer = await subject.get(`/v2/${repository}/referrers/${base.digest}`)
      if (answer.status === 200) sameDigests(answer, left)
    }
  }
})

async function isDeleted (subject: Subject, repository: string, digest: string): Promise<void> {
  expectStatus(await subject.delete(`/v2/${repository}/blobs/${digest}`), 202)
  expectStatus(await subject.head(`/v2/${repository}/blobs/${digest}`), 404)
  expectError(await subject.getBlob(repository, digest), [404], 'BLOB_UNKNOWN')
  expectStatus(await subject.delete(`/v2/${repository}/blobs/${digest}`), 404)
}

/** A new blob in a repository of its own, and the name of another repository. */
async function pushSomewhere (subject: Subject): Promise<{ readonly here: string, readonly elsewhere: string, readonly blob: Blob }> {
  const [here, elsewhere] = [subject.repository(), subject.repository()]
  const blob = randomBlob(500)
  await subject.pushBlob(here, blob)
  return { here, elsewhere, blob }
}

async function mount (subject: Subject, target: string, source: string, digest: string): Promise<Answer> {
  return await subject.writes.call('POST', `/v2/${target}/blobs/uploads/?mount=${digest}&from=${encodeURIComponent(source)}`)
}
