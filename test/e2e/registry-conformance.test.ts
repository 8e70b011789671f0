import t from 'tap'
import { type Digest } from '../../runtime/core/digest.js'
import { type Category, runCases } from '../conformance/registry/case.js'
import { artifact, childOf, image, index, type Manifest } from '../conformance/registry/content.js'
import { sameDigests } from '../conformance/registry/discovery.js'
import { expectBody, expectStatus, Subject } from '../conformance/registry/subject.js'
import { CASES, READ_ONLY, READ_WRITE } from '../conformance/registry/suite.js'
import { must } from '../support/must.js'
import { pushImage, resolveTag } from '../support/registry.js'
import { startTestSystem, troublesIn } from '../support/system.js'
import { makeImage } from '../support/image.js'

/* The whole system does what the OCI distribution specification asks: the proxy all of it, an agent what can be read. */

/** Cases at the same time: most of their time goes into waiting for disks. */
const AT_ONCE = 4

const system = await startTestSystem(t)
const { proxyPort, agents } = system
const proxyUrl = `http://127.0.0.1:${proxyPort}`
const agentUrl = `http://127.0.0.1:${must(agents[0]).registryPort}`

const RUNS: ReadonlyArray<readonly [what: string, readUrl: string, categories: readonly Category[]]> = [
  ['the proxy', proxyUrl, READ_WRITE],
  ['an agent', agentUrl, READ_ONLY]
]

for (const [what, readUrl, categories] of RUNS) {
  t.test(what, async t => {
    const subject = new Subject({ readUrl, writeUrl: proxyUrl })
    for await (const { title, reason } of runCases(subject, CASES, categories, AT_ONCE)) t.equal(reason, undefined, title)
  })
}

t.test('tags that were moved or deleted are so at every agent at once', async t => {
  const images = await Promise.all([901, 902, 903].map(async seed => await makeImage({ layerBytes: [1000], seed })))
  const everywhere = async (tag: string): Promise<Array<string | undefined>> =>
    await Promise.all([proxyPort, ...agents.map(({ registryPort }) => registryPort)].map(async port => await resolveTag(port, 'team/tags', tag)))
  for (const each of images) {
    await pushImage(proxyPort, 'team/tags', 'latest', each)
    t.same(new Set(await everywhere('latest')), new Set([each.top.digest]), 'moved')
  }
  const subject = new Subject({ readUrl: proxyUrl })
  expectStatus(await subject.delete('/v2/team/tags/manifests/latest'), 202)
  t.same(new Set(await everywhere('latest')), new Set([undefined]), 'deleted')
  const last: Digest = must(images[2]).top.digest
  await pushImage(proxyPort, 'team/tags', 'again', must(images[2]))
  expectStatus(await subject.delete(`/v2/team/tags/manifests/${last}`), 202)
  t.same(new Set(await everywhere('again')), new Set([undefined]), 'deleted with its manifest')
})

t.test('what was named by sha512, deleted or referred to is so after a crash of all who know it', async t => {
  const subject = new Subject({ readUrl: proxyUrl })
  const [proxy, agent] = [subject, new Subject({ readUrl: agentUrl, writeUrl: proxyUrl })]
  const repository = subject.repository()
  const base = index([image({ algorithm: 'sha512' })], { algorithm: 'sha512' })
  const gone: Manifest = image()
  const signature = artifact('application/vnd.example.sig', { subject: childOf(base) })
  await subject.pushImage(repository, base.digest, base)
  await subject.pushImage(repository, 'gone', gone)
  await subject.pushImage(repository, signature.digest, signature)
  const lost = must(gone.blobs[0])
  expectStatus(await subject.delete(`/v2/${repository}/manifests/${gone.digest}`), 202)
  expectStatus(await subject.delete(`/v2/${repository}/blobs/${lost.digest}`), 202)
  await Promise.all(['build-index', 'proxy', 'agent-1'].map(async name => { await system.kill(name) }))
  for (const each of [proxy, agent]) {
    expectBody(expectStatus(await each.getManifest(repository, base.digest), 200), base.bytes)
    const [child] = base.children
    for (const blob of must(child).blobs) expectBody(expectStatus(await each.getBlob(repository, blob.digest), 200), blob.bytes)
    expectStatus(await each.getManifest(repository, 'gone'), 404)
    sameDigests(await each.get(`/v2/${repository}/referrers/${base.digest}`), [signature.digest])
  }
  expectStatus(await proxy.getManifest(repository, gone.digest), 404)
  expectStatus(await proxy.getBlob(repository, lost.digest), 404)
  t.pass('all of it')
})

t.test('the logs of all this hold no error', async t => {
  await system.stop()
  t.same(troublesIn(system), [])
})
