import t from 'tap'
import { aliasKey, memberKey } from '../../../net/api/records.js'
import { digestOf, sha512Of } from '../../../runtime/core/digest.js'
import { AppError, type ErrorCode, isAppError } from '../../../runtime/core/errors.js'
import { noLog } from '../../../runtime/observe/log.js'
import { type Membership, Repositories } from '../../../runtime/registry/repositories.js'
import { MemoryRecords } from '../../support/registry/memory-records.js'

const DIGEST = digestOf('content')
const NAME = sha512Of('content')

function setUp (membership: Membership) {
  let outage: ErrorCode | undefined
  let asked = 0
  const records = new MemoryRecords(() => {
    asked++
    if (outage !== undefined) throw new AppError(outage, 'a bad day')
  })
  return {
    records,
    repositories: new Repositories({ records, membership, log: noLog }),
    fail: (code: ErrorCode | undefined): void => { outage = code },
    askedCount: (): number => asked
  }
}

async function codeOf (promise: Promise<unknown>): Promise<string> {
  return await promise.then(() => 'none', (error: unknown) => isAppError(error) ? error.code : 'other')
}

t.test('shared: everything is everywhere but where it was deleted', async t => {
  const { repositories } = setUp('shared')
  t.equal(await repositories.has('a', DIGEST), true)
  await repositories.remove('a', DIGEST)
  t.equal(await repositories.has('a', DIGEST), false)
  t.equal(await repositories.has('b', DIGEST), true)
  t.equal(await repositories.locateForMount('a', DIGEST), undefined, 'no mount from where it was deleted')
  t.equal(await repositories.locateForMount(undefined, DIGEST), DIGEST, 'one from anywhere else')
  await repositories.enter('a', DIGEST, DIGEST)
  t.equal(await repositories.has('a', DIGEST), true)
})

t.test('strict: only what was pushed or mounted', async t => {
  const { repositories } = setUp('strict')
  t.equal(await repositories.has('a', DIGEST), false)
  await repositories.enter('a', DIGEST, DIGEST)
  t.equal(await repositories.has('a', DIGEST), true)
  t.equal(await repositories.has('b', DIGEST), false)
  t.equal(await repositories.locateForMount('b', DIGEST), undefined)
  t.equal(await repositories.locateForMount('a', DIGEST), DIGEST)
  t.equal(await repositories.locateForMount(undefined, DIGEST), undefined, 'who knows a digest may not see what is behind it')
})

t.test('ignored: nobody is asked', async t => {
  const { repositories, askedCount } = setUp('ignored')
  t.equal(await repositories.locate('a', DIGEST), DIGEST)
  t.equal(askedCount(), 0)
})

t.test('content has its sha512 as a second name, which is asked for once', async t => {
  const { repositories, records, askedCount } = setUp('shared')
  t.equal(await repositories.locate('a', NAME), undefined)
  await repositories.enter('a', DIGEST, NAME)
  t.equal(records.records.get(aliasKey(NAME)), DIGEST)
  t.equal(await repositories.locate('a', NAME), DIGEST)
  t.equal(await repositories.locate('b', NAME), DIGEST)
  const before = askedCount()
  await repositories.digestOf(NAME)
  t.equal(askedCount(), before)
  records.records.set(aliasKey(sha512Of('other')), 'nonsense')
  t.equal(await repositories.digestOf(sha512Of('other')), undefined)
})

t.test('tags show a manifest by the name under which it was tagged', async t => {
  const { repositories, records, fail } = setUp('shared')
  t.equal(await repositories.shownName(DIGEST), DIGEST)
  await repositories.setShownName(DIGEST, NAME)
  t.equal(await repositories.shownName(DIGEST), NAME)
  const other = new Repositories({ records, membership: 'ignored', log: noLog })
  t.equal(await other.shownName(DIGEST), NAME, 'elsewhere too')
  fail('UNAVAILABLE')
  t.equal(await other.shownName(digestOf('unasked')), digestOf('unasked'), 'its own name does for a bad day')
})

t.test('while nobody can be asked, shared content is served and strict content is not', async t => {
  for (const [membership, expected] of [['shared', 'none'], ['strict', 'UNAVAILABLE']] as const) {
    const { repositories, fail } = setUp(membership)
    fail('UNAVAILABLE')
    t.equal(await codeOf(repositories.has('a', DIGEST)), expected)
    t.equal(await codeOf(repositories.enter('a', DIGEST, DIGEST)), 'UNAVAILABLE', 'but nothing is acknowledged that may be marked as deleted')
    t.equal(await codeOf(repositories.remove('a', DIGEST)), 'UNAVAILABLE')
  }
})

t.test('without records nothing can be deleted, and only sharing works', async t => {
  const shared = setUp('shared')
  shared.records.isKraken = true
  t.equal(await codeOf(shared.repositories.enter('a', DIGEST, DIGEST)), 'none')
  t.equal(await codeOf(shared.repositories.remove('a', DIGEST)), 'UNSUPPORTED')
  t.equal(await codeOf(shared.repositories.enter('a', DIGEST, NAME)), 'UNSUPPORTED', 'nor can a second name be kept')
  const strict = setUp('strict')
  strict.records.isKraken = true
  t.equal(await codeOf(strict.repositories.enter('a', DIGEST, DIGEST)), 'UNSUPPORTED')
})

t.test('digests in capitals are the same content', async t => {
  t.equal(memberKey('a', DIGEST), memberKey('a', DIGEST.toUpperCase().replace('SHA256', 'sha256') as typeof DIGEST))
})
