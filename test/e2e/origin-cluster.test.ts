import { readdir, rm } from 'node:fs/promises'
import t from 'tap'
import { originApi } from '../../net/api/origin.js'
import { pathOf } from '../../net/api/route.js'
import { type Digest, digestOf, hexOf } from '../../runtime/core/digest.js'
import { blobDir } from '../../runtime/store/paths.js'
import { until } from '../support/manual-time.js'
import { ownersAt, push, startOrigins, type TestOrigin } from '../support/origin-cluster.js'
import { pattern } from '../support/pattern.js'

const namespace = 'team/app'
const NOWHERE = `sha256:${'ab'.repeat(32)}` as Digest

const blobPath = (digest: Digest): string => pathOf(originApi.download, { namespace, digest })
const metaInfoPath = (digest: Digest): string => pathOf(originApi.metaInfo, { namespace, digest })

const holds = async (origin: TestOrigin, digest: Digest): Promise<boolean> =>
  (await origin.call('HEAD', `${pathOf(originApi.stat, { namespace, digest })}?local=true`)).status === 200

async function fetchUntilThere (origin: TestOrigin, path: string): Promise<Buffer> {
  let body: Buffer = Buffer.alloc(0)
  await until(async () => {
    const answer = await origin.call('GET', path)
    body = answer.body
    return answer.status === 200
  })
  return body
}

t.test('three origins', async t => {
  const origins = await startOrigins(t, 3) as [TestOrigin, TestOrigin, TestOrigin]
  const [first, second, third] = origins

  t.test('all tell the same owners in the same order', async t => {
    // One that started first has seen the others fail; it needs a few health checks to trust them.
    const everyone = origins.map(({ address }) => address).toSorted()
    await until(async () => {
      const seen = await Promise.all(origins.map(async origin => (await ownersAt(origin, digestOf('a'))).toSorted()))
      return seen.every(owners => owners.join() === everyone.join())
    })
    for (const text of ['a', 'b', 'c', 'd']) {
      const answers = await Promise.all(origins.map(async origin => await ownersAt(origin, digestOf(text))))
      for (const answer of answers) t.same(answer, answers[0])
      t.same(answers[0]?.toSorted(), everyone)
    }
  })

  t.test('a committed blob is on every owner, with the same metainfo', async t => {
    const bytes = pattern(700_000)
    const digest = digestOf(bytes)
    t.equal((await push(first, bytes)).status, 200)
    const metaInfos = new Set<string>()
    for (const origin of origins) {
      t.ok(await holds(origin, digest), origin.address)
      t.ok((await origin.call('GET', blobPath(digest))).body.equals(bytes))
      metaInfos.add((await origin.call('GET', metaInfoPath(digest))).body.toString())
    }
    t.equal(metaInfos.size, 1)
  })

  t.test('pushes of one blob to all origins at once end in one copy each', async t => {
    const bytes = pattern(300_001)
    const commits = await Promise.all(origins.map(async origin => await push(origin, bytes)))
    t.ok(commits.every(({ status }) => status === 200 || status === 409))
    for (const origin of origins) t.ok((await origin.call('GET', blobPath(digestOf(bytes)))).body.equals(bytes))
  })

  t.test('a push succeeds while an owner is away, which gets the blob when it is back', async t => {
    const bytes = Buffer.from('pushed while one was away')
    await third.stop()
    t.equal((await push(first, bytes)).status, 200)
    t.ok(await holds(second, digestOf(bytes)))
    await third.start()
    await until(async () => await holds(third, digestOf(bytes)))
    await until(async () => JSON.parse((await first.call('GET', originApi.replication.path)).body.toString()).owed === 0)
    t.pass('the third has it')
  })

  t.test('an origin that lost its disk answers 202 and then the blob', async t => {
    const bytes = pattern(400_000)
    const digest = digestOf(bytes)
    await push(first, bytes)
    await second.stop()
    await rm(second.config.castore.cacheDir, { recursive: true })
    await second.start()
    t.ok((await fetchUntilThere(second, blobPath(digest))).equals(bytes))
    t.equal((await readdir(blobDir(second.config.castore.cacheDir, hexOf(digest)))).includes('data'), true)
    t.match((await fetchUntilThere(second, metaInfoPath(digest))).toString(), hexOf(digest))
  })

  t.test('a blob that nobody has is unknown', async t => {
    for (const origin of origins) t.equal((await origin.call('GET', blobPath(NOWHERE))).status, 404)
  })
})
