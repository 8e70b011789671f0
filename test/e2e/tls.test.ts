import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { buffer } from 'node:stream/consumers'
import { tls } from '../../runtime/config/sections/tls.js'
import { Authority } from '../support/certificates.js'
import { type Answer, call } from '../support/http-call.js'
import { callSecurely, type SecureCallOptions } from '../support/https-call.js'
import { makeImage } from '../support/image.js'
import { startLocalCluster } from '../support/local-cluster.js'
import { locationOf } from '../support/registry.js'
import { temporaryFolder } from '../support/system.js'

/* A cluster whose components speak TLS to each other, and to their clients. */

const NAME = 'cluster.example'

t.test('an image is pushed and pulled over TLS', async t => {
  const folder = temporaryFolder(t)
  const authority = new Authority('cluster')
  const write = (name: string, content: string): string => {
    const path = join(folder, name)
    writeFileSync(path, content)
    return path
  }
  const filesOf = (name: string): object => {
    const { cert, key } = authority.issue(name, [NAME])
    return { cert: { path: write(`${name}.crt`, cert) }, key: { path: write(`${name}.key`, key) } }
  }
  const cas = [{ path: write('ca.crt', authority.cert) }]
  const config = tls.schema.parse({ name: NAME, cas, server: filesOf('server'), client: filesOf('client') })
  const cluster = await startLocalCluster(t, { pieceBytes: 65_536, tls: config })
  const ask = async (port: number, method: string, path: string, options: SecureCallOptions = {}): Promise<Answer> =>
    await callSecurely(port, method, path, { ca: authority.cert, servername: NAME, ...options })

  const image = await makeImage({ layerBytes: [400_000, 10], seed: 901 })
  const [proxy] = cluster.proxy
  for (const { digest, open } of image.blobs) {
    const started = await ask(proxy, 'POST', '/v2/team/app/blobs/uploads/')
    t.equal(started.status, 202)
    const location = locationOf(started)
    t.equal((await ask(proxy, 'PUT', `${location}${location.includes('?') ? '&' : '?'}digest=${digest}`, { body: await buffer(open()) })).status, 201)
  }
  const headers = { 'Content-Type': image.top.mediaType }
  t.equal((await ask(proxy, 'PUT', '/v2/team/app/manifests/v1', { headers, body: image.top.bytes })).status, 201)

  const manifest = await ask(cluster.agentRegistry, 'GET', '/v2/team/app/manifests/v1')
  t.equal(manifest.status, 200)
  t.ok(manifest.body.equals(image.top.bytes))
  for (const { digest, open } of image.blobs) {
    const blob = await ask(cluster.agentRegistry, 'GET', `/v2/team/app/blobs/${digest}`)
    t.ok(blob.body.equals(await buffer(open())), 'by way of tracker and origin')
  }
  for (const port of [cluster.origin, cluster.tracker, cluster.buildIndex, proxy, cluster.agentRegistry]) {
    t.equal((await ask(port, 'GET', '/health')).status, 200)
    t.equal((await call(port, 'GET', '/health')).status, 400, 'no plain HTTP')
  }
  t.equal((await call(cluster.agentServer, 'GET', '/health')).status, 200, 'the agent\'s own API is plain')
})

t.test('what stands in the configuration', async t => {
  const parse = (raw: unknown): unknown => tls.schema.parse(raw)
  const pair = { cert: { path: 'c' }, key: { path: 'k' } }
  const files = { certFile: 'c', keyFile: 'k', passphraseFile: undefined }
  for (const off of [undefined, {}, { server: { disabled: true }, client: { disabled: true } }, { name: 'x', cas: [{ path: 'a' }], server: { disabled: true }, client: { disabled: true } }]) {
    t.equal(parse(off), undefined)
  }
  t.same(parse({ server: pair }), { authorityFiles: [], server: files, client: undefined })
  t.same(parse({ name: 'x', cas: [{ path: 'a' }], server: { ...pair, disabled: true }, client: pair }), {
    authorityFiles: ['a'], server: undefined, client: { serverName: 'x', certificate: files }
  })
  t.throws(() => parse({ name: 'x' }), /certificate of our ports/, 'what was meant to be secured is not served in the open')
  t.throws(() => parse({ server: { cert: { path: 'c' } } }), /beside the certificate/)
  t.throws(() => parse({ client: { key: { path: 'k' } } }), /beside the key/)
})
