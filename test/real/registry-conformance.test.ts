import t from 'tap'
import { runCases } from '../conformance/registry/case.js'
import { Subject } from '../conformance/registry/subject.js'
import { CASES, READ_WRITE } from '../conformance/registry/suite.js'
import { arePresent, startDockerRegistry } from '../support/programs.js'

/*
 * Docker's registry against the same suite as ours, to know that the suite asks for nothing that only we do. What its
 * version 2.8 does otherwise is listed here with the reason; everything else must pass.
 */

const KNOWN_DIFFERENCES: Readonly<Record<string, string>> = {
  'a manifest is there for who accepts anything, or says nothing': 'it hides OCI content from who does not name its types',
  'a malformed digest is 400 or 404': 'it is taken for a tag, which its storage refuses with 500',
  'a malformed repository name is 400 or 404': 'a name of 300 characters is 500',
  'a range that names no byte is 416': 'its answer to a range behind the end breaks off',
  'layers that stay with their licensor is accepted': 'URLs are refused unless it is told which to allow',
  'a manifest that is too large is 413': '400',
  'a digest that is not the manifest\'s, or none, is 400': 'it is taken for a tag, which its storage refuses with 500',
  'what is no manifest is 400': 'some of it is 500',
  'a chunk out of order is 416, and the upload goes on': 'Content-Range is not looked at',
  'a closing PUT out of order is 416, and the upload goes on': 'Content-Range is not looked at',
  'tags are listed in order': 'in the order of its file system',
  'a page of tags has at most n, and leads to the next': 'no pages of tags',
  'n = 0 is an empty page that leads nowhere': 'no pages of tags',
  'a page begins behind its last': 'no pages of tags',
  'an n that is no count is refused': 'no pages of tags'
}
/** Digests by SHA-512 are taken by it, and answered with another name for the same bytes. */
const ABOUT_SHA512 = /sha512|the algorithm of a digest|the empty blob needs no body/

async function main (): Promise<void> {
  if (!arePresent(t, 'docker-registry')) return
  t.test('Docker\'s registry', async t => {
    const subject = new Subject({ readUrl: `http://127.0.0.1:${await startDockerRegistry(t)}` })
    let passed = 0
    for await (const { title, result, reason } of runCases(subject, CASES, READ_WRITE)) {
      if (result === 'passed') passed++
      if (result !== 'failed') continue
      const known = KNOWN_DIFFERENCES[title] ?? (ABOUT_SHA512.test(title) ? 'no digests by SHA-512' : undefined)
      t.not(known, undefined, `${title}: ${known ?? reason ?? ''}`)
    }
    t.ok(passed >= 50, `${passed} cases pass as with ours`)
  })
}

await main()
