import t, { type Test } from 'tap'
import { MANIFEST_TYPES } from '../../runtime/backend/registry/registry.js'
import { digestOf } from '../../runtime/core/digest.js'
import { backendsConfig } from '../support/backend-items.js'
import { type Answer, call } from '../support/http-call.js'
import { startLocalCluster } from '../support/local-cluster.js'
import { must } from '../support/must.js'
import { randomBlob } from '../support/random-blob.js'
import { deadAddress } from '../support/small-server.js'
import { UpstreamRegistry } from '../support/upstream-registry.js'

/* Agents as mirrors of several registries that ask for credentials, each read by the origins and the build-index. */

const REPOSITORY = 'library/app'

async function startUpstream (t: Test, seed: string): Promise<{ upstream: UpstreamRegistry, layer: Buffer, manifest: Buffer }> {
  const upstream = await UpstreamRegistry.start({ auth: 'bearer' })
  t.teardown(async () => { await upstream.stop() })
  const part = (mediaType: string, bytes: Buffer): object => ({ mediaType, size: bytes.length, digest: upstream.put(bytes) })
  const layer = Buffer.from(randomBlob(700_000, seed).bytes)
  const manifest = Buffer.from(JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: part('application/vnd.oci.image.config.v1+json', Buffer.from(JSON.stringify({ seed }))),
    layers: [part('application/vnd.oci.image.layer.v1.tar', layer)]
  }))
  upstream.put(manifest, `${REPOSITORY}:v1`)
  return { upstream, layer, manifest }
}

/** Both backends of one registry, whose content is in repositories below its name. */
function backendsOf (address: string, kind: 'registry_blob' | 'registry_tag'): object {
  const name = address.replace(':', '_')
  const security = { tls: { client: { disabled: true } }, basic: { username: 'reader', password: 'secret' } }
  return { namespace: `^${name.replaceAll('.', '\\.')}/`, backend: { [kind]: { address, strip_prefix: `${name}/`, security } } }
}

t.test('one agent mirrors several registries, and each is asked for a blob once', async t => {
  const upstreams = [await startUpstream(t, 'first'), await startUpstream(t, 'second')]
  const gone = await deadAddress(t)
  const addresses = [...upstreams.map(({ upstream }) => upstream.address), gone]
  const { agentRegistries } = await startLocalCluster(t, {
    pieceBytes: 65_536,
    agents: 4,
    mirror: 'per_registry',
    backends: {
      blobs: backendsConfig(addresses.map(address => backendsOf(address, 'registry_blob'))),
      tags: backendsConfig(addresses.map(address => backendsOf(address, 'registry_tag')))
    }
  })
  const ask = async (port: number, path: string, ns?: string): Promise<Answer> =>
    await call(port, 'GET', `/v2/${REPOSITORY}/${path}${ns === undefined ? '' : `?ns=${ns}`}`, { headers: { Accept: MANIFEST_TYPES } })

  await t.test('a crowd, at every agent', async t => {
    await Promise.all(agentRegistries.flatMap(port => upstreams.map(async ({ upstream, layer, manifest }) => {
      const ns = upstream.address
      const byTag = await ask(port, 'manifests/v1', ns)
      t.equal(byTag.status, 200)
      t.equal(byTag.headers['oci-namespace'], ns)
      t.ok(byTag.body.equals(manifest), 'that of the registry it was asked for')
      const crowd = await Promise.all(Array.from({ length: 25 }, async () => await ask(port, `blobs/${digestOf(layer)}`, ns)))
      t.ok(crowd.every(({ status, body }) => status === 200 && body.equals(layer)))
    })))
    for (const { upstream, layer, manifest } of upstreams) {
      for (const content of [`blobs/${digestOf(layer)}`, `manifests/${digestOf(manifest)}`]) {
        t.same(upstream.requests.filter(request => request === `GET /v2/${REPOSITORY}/${content}`).length, 1, content)
      }
    }
  })

  await t.test('what no registry has is 404 at once, and so is what cannot be asked for', async t => {
    const [port = 0] = agentRegistries
    const { address } = must(upstreams[0]).upstream
    const absent = digestOf('absent')
    for (const [path, ns] of [
      ['manifests/none', address], [`manifests/${absent}`, address], [`blobs/${absent}`, address],
      ['manifests/v1', '..%2F..'], ['manifests/v1', ''], ['manifests/v1', 'x'.repeat(250)], ['manifests/v1', gone]
    ] as const) {
      t.equal((await ask(port, path, ns)).status, 404, `${path} of ${ns}`)
    }
  })

  await t.test('what cannot be known is 503, which also sends clients on', async t => {
    for (const [path, ns] of [[`blobs/${digestOf('absent')}`, gone], ['manifests/v1', 'unconfigured.example'], ['manifests/v1', undefined]] as const) {
      t.equal((await ask(must(agentRegistries[0]), path, ns)).status, 503, `${path} of ${String(ns)}`)
    }
  })
})
