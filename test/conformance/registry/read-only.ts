import { image, randomBlob } from './content.js'
import { type Case, casesOf } from './case.js'
import { check, expectError, expectStatus, type Subject } from './subject.js'

/** The text of the code alone: clients that see it try again for most of a minute. */
const STANDARD_TEXT = /The operation is unsupported/

/** What a registry that only serves must refuse, at once and with a reason (http-api specification 9.6). */
export const READ_ONLY_CASES: readonly Case[] = casesOf('read-only', {
  'every write is 405 with a reason of its own': async subject => {
    const repository = subject.repository()
    const manifest = image()
    const blob = randomBlob(100)
    await subject.pushImage(repository, 'v1', manifest)
    const upload = '00000000-0000-4000-8000-000000000000'
    const base = `/v2/${repository}`
    const uploads = `${base}/blobs/uploads/`
    for (const [method, path] of [
      ['POST', uploads],
      ['POST', `${uploads}?digest=${blob.digest}`],
      ['POST', `${uploads}?mount=${blob.digest}&from=other`],
      ['PATCH', uploads + upload],
      ['PUT', `${uploads}${upload}?digest=${blob.digest}`],
      ['DELETE', uploads + upload],
      ['PUT', `${base}/manifests/v2`],
      ['PUT', `${base}/manifests/${manifest.digest}`],
      ['DELETE', `${base}/manifests/v1`],
      ['DELETE', `${base}/manifests/${manifest.digest}`],
      ['DELETE', `${base}/blobs/${manifest.blobs[0]?.digest ?? ''}`]
    ] as const) {
      const body = method === 'PUT' ? manifest.bytes : undefined
      const answer = expectError(await subject.reads.call(method, path, { body, headers: { 'Content-Type': manifest.mediaType } }), [405], 'UNSUPPORTED')
      check(!STANDARD_TEXT.test(answer.body.toString()), `${answer.call} gives no reason of its own`)
    }
    await isUntouched(subject, repository)
  }
})

async function isUntouched (subject: Subject, repository: string): Promise<void> {
  expectStatus(await subject.getManifest(repository, 'v1'), 200)
  expectStatus(await subject.getManifest(repository, 'v2'), 404)
}
