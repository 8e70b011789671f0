import t from 'tap'
import { makeImage, RegistryClient } from '../../support/image.js'
import { MemoryRegistry } from '../../support/memory-registry.js'

async function start (t: { teardown (end: () => Promise<void>): void }): Promise<{ registry: MemoryRegistry, client: RegistryClient }> {
  const registry = new MemoryRegistry()
  const client = new RegistryClient(await registry.start())
  t.teardown(async () => {
    await client.close()
    await registry.stop()
  })
  return { registry, client }
}

for (const platforms of [['linux/amd64'], ['linux/amd64', 'linux/arm64']]) {
  t.test(`what is pushed comes back: ${platforms.join(', ')}`, async t => {
    const { registry, client } = await start(t)
    const image = await makeImage({ layerBytes: [600_000, 0, 17, 3000], platforms })
    const total = image.blobs.reduce((sum, blob) => sum + blob.sizeBytes, 0)
    let pushed = 0
    await client.push('team/app', 'v1', image, { onBytes: byteCount => { pushed += byteCount } })
    t.equal(pushed, total)
    t.equal(registry.blobs.size, image.blobs.length)
    let pulled = 0
    t.same(await client.pull('team/app', 'v1', { onBytes: byteCount => { pulled += byteCount } }), { digest: image.top.digest, blobBytes: total })
    t.equal(pulled, total)
    await client.push('team/app', 'v2', image)
    t.equal((await client.pull('team/app', 'v2')).digest, image.top.digest, 'blobs that are there already are not sent again')
  })
}

t.test('wrong bytes are noticed', async t => {
  const { registry, client } = await start(t)
  const image = await makeImage({ layerBytes: [1000] })
  await client.push('app', 'v1', image)
  registry.blobs.set(image.blobs[0]?.digest ?? '', Buffer.from('something else'))
  await t.rejects(client.pull('app', 'v1'), { code: 'DIGEST_MISMATCH' })
})

t.test('what is refused, broken off or cancelled says so', async t => {
  const { registry, client } = await start(t)
  await t.rejects(client.pull('app', 'v1'), { code: 'UNAVAILABLE', message: /GET \/v2\/app\/manifests\/v1 was answered 404/ })
  await t.rejects(client.pull('app', 'v1', { signal: AbortSignal.abort() }), { code: 'CANCELLED' })
  await registry.stop()
  await t.rejects(client.pull('app', 'v1'), { code: 'NETWORK' })
})
