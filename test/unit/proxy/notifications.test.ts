import t from 'tap'
import { digestOf } from '../../../runtime/core/digest.js'
import { noLog } from '../../../runtime/observe/log.js'
import { Preheater } from '../../../runtime/proxy/notifications.js'
import { DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from '../../../runtime/registry/manifest.js'
import { bytesOf, fakeRequest } from '../../support/registry/fake-request.js'
import { imageIndex, imageManifest } from '../../support/registry/manifest-texts.js'
import { MemoryOrigins } from '../../support/registry/memory-clients.js'

function setUp () {
  const origins = new MemoryOrigins()
  const config = { digest: origins.add('{}'), size: 2 }
  const layer = { digest: origins.add('layer'), size: 5 }
  const image = origins.add(imageManifest({ config, layers: [layer] }))
  const index = origins.add(imageIndex([{ digest: image, size: 1 }, { digest: image, size: 1 }]))
  const slept: number[] = []
  let onSleep = (): void => {}
  const sleep = async (ms: number): Promise<void> => {
    slept.push(ms)
    onSleep()
  }
  const asked = (): string[] => origins.asked.filter(call => call.startsWith('metaInfo'))
  /** Resolves when `count` pieces of metainfo were asked for. */
  const until = async (condition: () => boolean): Promise<void> => { while (!condition()) await new Promise(resolve => setImmediate(resolve)) }
  return { origins, config, layer, image, index, slept, asked, until, sleep, onSleep: (f: () => void) => { onSleep = f } }
}

const push = (mediaType: string, digest: string, more: object = {}): object =>
  ({ id: '1', timestamp: '2026-11-23T15:56:38.123Z', action: 'push', target: { mediaType, digest, repository: 'team/app' }, ...more })

for (const kind of ['image', 'index'] as const) {
  for (const isCapital of [false, true]) {
    t.test(`${kind}, ${isCapital ? 'capital' : 'lower-case'} names`, async t => {
      const site = setUp()
      const preheater = new Preheater({ origins: site.origins, log: noLog, sleep: site.sleep })
      const event = push(kind === 'image' ? OCI_MANIFEST : OCI_INDEX, site[kind])
      const text = JSON.stringify({ events: [event] })
      const body = isCapital ? text.replace(/"(events|action|target|mediaType|digest|repository)":/g, (_, key: string) => `"${key[0]?.toUpperCase()}${key.slice(1)}":`) : text
      const reply = await preheater.notify(fakeRequest('POST', '/registry/notifications', { body }))
      t.equal(reply.status, 200)
      t.equal((await bytesOf(reply)).length, 0)
      await site.until(() => site.asked().length === 2)
      t.same(site.asked().sort(), [`metaInfo team/app ${site.config.digest}`, `metaInfo team/app ${site.layer.digest}`].sort())
      await preheater.close()
    })
  }
}

t.test('a manifest that is not there yet is asked for four times', async t => {
  const site = setUp()
  const text = imageManifest({ config: site.config, extra: { annotations: { late: 'yes' } } })
  site.onSleep(() => { if (site.slept.length === 2) site.origins.add(text) })
  const preheater = new Preheater({ origins: site.origins, log: noLog, sleep: site.sleep })
  await preheater.notify(fakeRequest('POST', '/', { body: JSON.stringify({ events: [push(OCI_MANIFEST, digestOf(text))] }) }))
  await site.until(() => site.asked().length === 1)
  t.same(site.slept, [100, 200])
  await preheater.notify(fakeRequest('POST', '/', { body: JSON.stringify({ events: [push(OCI_MANIFEST, digestOf('never'))] }) }))
  await site.until(() => site.slept.length === 5)
  await preheater.close()
})

t.test('what is no push of an image is passed over', async t => {
  const site = setUp()
  const preheater = new Preheater({ origins: site.origins, log: noLog, sleep: site.sleep })
  const events = [
    push(OCI_MANIFEST, site.image, { action: 'pull' }), push('application/octet-stream', site.image), push(OCI_MANIFEST, 'sha256:short'),
    push(DOCKER_MANIFEST, site.image, { target: { mediaType: DOCKER_MANIFEST, digest: site.image } })
  ]
  for (const envelope of [{ events }, { events: [] }, { events: null }, {}]) {
    t.equal((await preheater.notify(fakeRequest('POST', '/', { body: JSON.stringify(envelope) }))).status, 200)
  }
  t.same(site.origins.asked, [])
  await preheater.close()
})

for (const [body, text] of [
  ['', 'decode body: EOF'],
  ['{', 'decode body: unexpected EOF'],
  ['{"events":[{"id":"1"', 'decode body: unexpected EOF'],
  ['[]', /^decode body: /],
  ['{"events":{}}', /^decode body: /],
  ['{"events":[1]}', /^decode body: /],
  ['{"events":[{"timestamp":"yesterday","action":"push"}]}', /^decode body: /],
  ['{"events":[{"timestamp":5,"action":"push"}]}', /^decode body: /]
] as const) {
  t.test(`${body === '' ? 'nothing' : body} is 500`, async t => {
    const { origins, sleep } = setUp()
    const reply = await new Preheater({ origins, log: noLog, sleep }).notify(fakeRequest('POST', '/', { body }))
    t.equal(reply.status, 500)
    t.match((await bytesOf(reply)).toString(), text)
  })
}

t.test('a push without a target, which crashes the reference, is the caller\'s fault', async t => {
  const { origins, sleep } = setUp()
  const preheater = new Preheater({ origins, log: noLog, sleep })
  await t.rejects(preheater.notify(fakeRequest('POST', '/', { body: '{"events":[{"action":"push"}]}' })), { code: 'PARAMETER_INVALID' })
})

t.test('more than can be remembered is refused, and closing drops what waits', async t => {
  const { origins, image, sleep } = setUp()
  const preheater = new Preheater({ origins, log: noLog, sleep })
  const many = JSON.stringify({ events: Array.from({ length: 1001 }, () => push(OCI_MANIFEST, image)) })
  await t.rejects(preheater.notify(fakeRequest('POST', '/', { body: many })), { code: 'UNAVAILABLE' })
  t.same(origins.asked, [])
  await preheater.notify(fakeRequest('POST', '/', { body: JSON.stringify({ events: Array.from({ length: 1000 }, () => push(OCI_MANIFEST, image)) }) }))
  await preheater.close()
  t.ok(origins.asked.length < 1000)
})
