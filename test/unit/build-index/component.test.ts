import t, { type Test } from 'tap'
import { startBuildIndex } from '../../../runtime/build-index/component.js'
import { type RunningComponent } from '../../../runtime/core/component.js'
import { type Digest, digestOf } from '../../../runtime/core/digest.js'
import { noLog } from '../../../runtime/observe/log.js'
import { OCI_INDEX, OCI_MANIFEST } from '../../../runtime/registry/manifest.js'
import { call } from '../../support/http-call.js'
import { must } from '../../support/must.js'
import { SmallOrigin } from '../../support/small-origin.js'
import { loneIndexConfig } from '../../support/task-config.js'

class Site {
  running: RunningComponent | undefined

  constructor (readonly origin: SmallOrigin, readonly cacheDir: string) {}

  async start (): Promise<void> {
    this.running = await startBuildIndex({
      port: 0,
      store: { uploadDir: this.cacheDir, cacheDir: this.cacheDir },
      tagTypes: [{ pattern: /^plain\//, type: 'default' }, { pattern: /.*/, type: 'docker' }],
      origin: this.origin.upstream,
      ...loneIndexConfig(this.cacheDir)
    }, noLog, { sleep: async () => {} })
  }

  async ask (method: string, target: string): Promise<string> {
    const { status, body } = await call(must(must(this.running).ports.port), method, target)
    return `${status} ${body.toString()}`
  }

  /** An image of one layer. */
  image (layer: string): Digest {
    const config = { digest: this.origin.put('{}'), size: 2, mediaType: 'application/vnd.oci.image.config.v1+json' }
    const layers = [{ digest: this.origin.put(layer), size: layer.length, mediaType: 'application/vnd.oci.image.layer.v1.tar' }]
    return this.origin.put(JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers }))
  }

  index (...children: Digest[]): Digest {
    const manifests = children.map(digest => ({ digest, size: 1, mediaType: OCI_MANIFEST }))
    return this.origin.put(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }))
  }
}

async function site (t: Test): Promise<Site> {
  const site = new Site(await SmallOrigin.start(), t.testdir())
  await site.start()
  t.teardown(async () => {
    await site.running?.stop()
    await site.running?.stop()
    await site.origin.stop()
  })
  return site
}

t.test('a tag moves, and survives a restart', async t => {
  const index = await site(t)
  const [first, second] = [index.image('first'), index.image('second')]
  t.equal(await index.ask('PUT', `/tags/team%2Fapp:v1/digest/${first}`), '200 ')
  t.equal(await index.ask('PUT', `/tags/team%2Fapp:v1/digest/${second}`), '200 ')
  t.equal(await index.ask('GET', '/tags/team%2Fapp:v1'), `200 ${second}`)
  await index.running?.stop()
  await index.start()
  t.equal(await index.ask('GET', '/tags/team%2Fapp:v1'), `200 ${second}`)
  t.match(await index.ask('GET', '/repositories/team%2Fapp/tags'), '"result":["v1"]')
})

t.test('an image of several platforms must be there as a whole', async t => {
  const index = await site(t)
  const image = index.index(index.image('amd64'), index.image('arm64'))
  t.equal(await index.ask('PUT', `/tags/team%2Fapp:v1/digest/${image}`), '200 ')
  index.origin.blobs.delete(digestOf('arm64'))
  t.equal(await index.ask('PUT', `/tags/team%2Fapp:v2/digest/${image}`), `500 cannot upload tag, missing dependency ${digestOf('arm64')}`)
  t.equal(await index.ask('GET', '/tags/team%2Fapp:v2'), '404 ')
  t.ok(index.origin.requests.every(request => !request.includes('/namespace/') || request.includes('/namespace/team%2Fapp:v')), 'the namespace is the tag')
})

t.test('tags that are no images need their blob only', async t => {
  const index = await site(t)
  t.equal(await index.ask('PUT', `/tags/plain%2Fx/digest/${index.origin.put('anything')}`), '200 ')
  t.equal(await index.ask('PUT', `/tags/plain%2Fy/digest/${digestOf('absent')}`), `500 cannot upload tag, missing dependency ${digestOf('absent')}`)
})

t.test('tags that would leave their folder are refused', async t => {
  const index = await site(t)
  for (const tag of ['..%2Fx', 'a%2F..%2F..%2Fx', '%2Fetc%2Fx', 'a%2F%2Fb', '.', '%252e%252e%252Fx']) {
    t.match(await index.ask('PUT', `/tags/${tag}/digest/${index.origin.put('{}')}`), /^400 /, tag)
    t.match(await index.ask('GET', `/tags/${tag}`), /^400 /, tag)
  }
})

t.test('without origins nothing is put, and reads go on', async t => {
  const index = await site(t)
  const image = index.image('one')
  await index.ask('PUT', `/tags/team%2Fapp:v1/digest/${image}`)
  index.origin.failing = 503
  t.match(await index.ask('PUT', `/tags/team%2Fapp:v2/digest/${image}`), /^500 resolve dependencies: download manifest: /)
  t.match(await index.ask('GET', '/readiness'), /^503 not ready to serve traffic: /)
  t.equal(await index.ask('GET', '/health'), '200 OK\n')
  t.equal(await index.ask('GET', '/tags/team%2Fapp:v1'), `200 ${image}`)
})
