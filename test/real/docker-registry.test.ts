import { join } from 'node:path'
import t from 'tap'
import { type Digest, digestOf } from '../../runtime/core/digest.js'
import { type Answer, call } from '../support/http-call.js'
import { writeDirImage } from '../support/dir-image.js'
import { makeImage } from '../support/image.js'
import { must } from '../support/must.js'
import { arePresent, Skopeo, startDockerRegistry } from '../support/programs.js'
import { blobPath, errorCodes, manifestPath, MANIFEST_TYPES, pullImage } from '../support/registry.js'
import { startTestSystem, temporaryFolder } from '../support/system.js'

/* Beside Docker's own registry: what it has can be taken over, and the same questions get the same answers. */

const ABSENT = `sha256:${'ab'.repeat(32)}` as Digest
const COMPARED_HEADERS = ['content-type', 'content-length', 'content-range', 'docker-content-digest', 'etag', 'docker-distribution-api-version']

/** What matters of an answer to a client. */
function essence ({ status, headers, body }: Answer): object {
  return { status, headers: Object.fromEntries(COMPARED_HEADERS.map(name => [name, headers[name]])), body: digestOf(body) }
}

async function main (): Promise<void> {
  if (!arePresent(t, 'skopeo', 'docker-registry')) return
  const { proxyPort, agents } = await startTestSystem(t)
  const registries = [['the proxy', proxyPort], ...agents.map(({ name, registryPort }) => [name, registryPort] as const)] as const
  const docker = await startDockerRegistry(t)
  const skopeo = new Skopeo(t)
  const [single, multi] = [
    await makeImage({ layerBytes: [3_000_000, 10_000], format: 'docker', seed: 201 }),
    await makeImage({ layerBytes: [500_000], platforms: ['linux/amd64', 'linux/arm64'], seed: 202 })
  ]
  for (const [name, image] of [['single', single], ['multi', multi]] as const) {
    const folder = temporaryFolder(t)
    await writeDirImage(join(folder, name), image)
    await skopeo.copy(`dir:${join(folder, name)}`, `docker://127.0.0.1:${docker}/compared/${name}:v1`)
  }

  t.test('skopeo sync takes over a whole repository', async t => {
    for (const name of ['single', 'multi']) {
      await skopeo.run('sync', '--all', '--scoped=false', '--src-tls-verify=false', '--dest-tls-verify=false', '--src', 'docker', '--dest', 'docker',
        `127.0.0.1:${docker}/compared/${name}`, `127.0.0.1:${proxyPort}/compared`)
    }
    for (const [name, port] of registries) {
      await t.resolves(pullImage(port, 'compared/single', 'v1', single), name)
      await t.resolves(pullImage(port, 'compared/multi', 'v1', multi), name)
    }
  })

  t.test('reads are answered alike', async t => {
    const layer = must(single.blobs[0]).digest
    const accept = { Accept: MANIFEST_TYPES }
    const questions: ReadonlyArray<readonly [what: string, method: string, path: string, headers?: Record<string, string>]> = [
      ...['GET', 'HEAD'].flatMap(method => [
        ['a manifest by tag', method, '/v2/compared/single/manifests/v1', accept],
        ['a manifest by digest', method, manifestPath('compared/single', single.top.digest), accept],
        ['an index', method, '/v2/compared/multi/manifests/v1', accept],
        ['a blob', method, blobPath('compared/single', layer)],
        ['a blob that is known already', method, blobPath('compared/single', layer), { 'If-None-Match': `"${layer}"` }]
      ] as const),
      ['part of a blob', 'GET', blobPath('compared/single', layer), { Range: 'bytes=100-299' }]
    ]
    for (const [what, method, path, headers] of questions) {
      const theirs = essence(await call(docker, method, path, { headers }))
      for (const [name, port] of registries) t.same(essence(await call(port, method, path, { headers })), theirs, `${method} ${what}, ${name}`)
    }
    for (const path of ['/v2/', '/v2/compared/single/tags/list']) {
      t.equal((await call(proxyPort, 'GET', path)).body.toString(), (await call(docker, 'GET', path)).body.toString(), path)
    }
  })

  t.test('misses and mistakes have the same statuses and codes', async t => {
    for (const path of [
      '/v2/compared/single/manifests/none',
      '/v2/compared/none/manifests/v1',
      manifestPath('compared/single', ABSENT),
      blobPath('compared/single', ABSENT),
      '/v2/compared/single/blobs/sha256:abc',
      '/v2/compared/single/nothing'
    ]) {
      const theirs = await call(docker, 'GET', path)
      const isJson = theirs.headers['content-type']?.startsWith('application/json') === true
      for (const [name, port] of registries) {
        const ours = await call(port, 'GET', path)
        t.equal(ours.status, theirs.status, `${path}, ${name}`)
        if (isJson) t.same(errorCodes(ours), errorCodes(theirs), `${path}, ${name}`)
        else t.equal(ours.body.toString(), theirs.body.toString(), `${path}, ${name}`)
      }
    }
  })
}

await main()
