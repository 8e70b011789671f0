import { join } from 'node:path'
import t from 'tap'
import { call } from '../support/http-call.js'
import { differences, writeDirImage } from '../support/dir-image.js'
import { type ImageOptions, makeImage } from '../support/image.js'
import { must } from '../support/must.js'
import { arePresent, Skopeo } from '../support/programs.js'
import { blobPath } from '../support/registry.js'
import { startTestSystem, temporaryFolder } from '../support/system.js'

/* skopeo pushes to the proxy and pulls from the agents, and both ends have the same bytes. */

const MIB = 1024 * 1024
const IMAGES: ReadonlyArray<readonly [what: string, name: string, options: ImageOptions]> = [
  ['an OCI image', 'oci', { layerBytes: [9 * MIB, 300_000], seed: 101 }],
  ['an OCI image with plain layers', 'plain', { layerBytes: [MIB], compression: 'none', seed: 102 }],
  ['a Docker schema 2 image', 'schema2', { layerBytes: [9 * MIB, 1], format: 'docker', seed: 103 }],
  ['an OCI index', 'index', { layerBytes: [5 * MIB], platforms: ['linux/amd64', 'linux/arm64/v8'], seed: 104 }],
  ['a Docker manifest list', 'list', { layerBytes: [MIB], format: 'docker', platforms: ['linux/amd64', 'linux/s390x'], seed: 105 }],
  ['an image of 25 layers', 'layers', { layerBytes: Array.from({ length: 25 }, (_, i) => 1000 * i), seed: 106 }]
]

async function main (): Promise<void> {
  if (!arePresent(t, 'skopeo')) return
  const { proxyPort, agents } = await startTestSystem(t)
  const skopeo = new Skopeo(t)
  const proxy = `docker://127.0.0.1:${proxyPort}`

  for (const [what, name, options] of IMAGES) {
    t.test(`${what}, to the proxy and from every agent`, async t => {
      const folder = temporaryFolder(t)
      const image = await makeImage(options)
      await writeDirImage(join(folder, 'pushed'), image)
      await skopeo.copy(`dir:${join(folder, 'pushed')}`, `${proxy}/real/${name}:v1`)
      for (const agent of agents) {
        const repository = `docker://127.0.0.1:${agent.registryPort}/real/${name}`
        for (const reference of [':v1', `@${image.top.digest}`]) {
          const pulled = join(folder, `${agent.name}${reference.slice(0, 3)}`)
          await skopeo.copy(repository + reference, `dir:${pulled}`)
          t.same(differences(pulled, image), [], `${agent.name} ${reference}`)
          const raw = await skopeo.run('inspect', '--tls-verify=false', '--raw', repository + reference)
          t.equal(raw, Buffer.from(image.top.bytes).toString(), 'the manifest as it was pushed')
        }
        const inspected: { Digest?: unknown, Layers?: unknown[] } = JSON.parse(await skopeo.run('inspect', '--tls-verify=false', '--no-tags', `${repository}:v1`))
        t.equal(inspected.Digest, image.top.digest)
        t.equal(must(inspected.Layers).length, options.layerBytes.length)
      }
    })
  }

  t.test('an image into an OCI layout and back', async t => {
    const folder = temporaryFolder(t)
    const agent = must(agents[0])
    await skopeo.copy(`docker://127.0.0.1:${agent.registryPort}/real/index:v1`, `oci:${folder}:v1`)
    await skopeo.copy(`oci:${folder}:v1`, `${proxy}/real/back:v1`)
    const raw = await skopeo.run('inspect', '--tls-verify=false', '--raw', `docker://127.0.0.1:${agent.registryPort}/real/back:v1`)
    const there = await skopeo.run('inspect', '--tls-verify=false', '--raw', `${proxy}/real/index:v1`)
    t.equal(raw, there)
  })

  t.test('one repository to another, by mounts', async t => {
    await skopeo.copy(`${proxy}/real/schema2:v1`, `${proxy}/real/copied/elsewhere:v1`)
    const raw = await skopeo.run('inspect', '--tls-verify=false', '--raw', `${proxy}/real/copied/elsewhere:v1`)
    t.equal(raw, await skopeo.run('inspect', '--tls-verify=false', '--raw', `${proxy}/real/schema2:v1`))
  })

  t.test('list-tags', async t => {
    for (const tag of ['a', 'c', 'b']) await skopeo.copy(`${proxy}/real/oci:v1`, `${proxy}/real/tags:${tag}`)
    const listed: { Tags?: unknown } = JSON.parse(await skopeo.run('list-tags', '--tls-verify=false', `${proxy}/real/tags`))
    t.same(listed.Tags, ['a', 'b', 'c'])
  })

  t.test('delete: the manifest is gone with its tags, from every agent as well, and elsewhere it stays', async t => {
    for (const target of ['deleted:v1', 'deleted:v2', 'kept:v1']) await skopeo.copy(`${proxy}/real/oci:v1`, `${proxy}/real/${target}`)
    await skopeo.run('delete', '--tls-verify=false', `${proxy}/real/deleted:v1`)
    for (const tag of ['v1', 'v2']) {
      for (const port of [proxyPort, ...agents.map(({ registryPort }) => registryPort)]) {
        await t.rejects(skopeo.run('inspect', '--tls-verify=false', '--raw', `docker://127.0.0.1:${port}/real/deleted:${tag}`), /manifest unknown/)
      }
    }
    await t.resolves(skopeo.run('inspect', '--tls-verify=false', '--raw', `${proxy}/real/kept:v1`))
    await skopeo.copy(`${proxy}/real/kept:v1`, `${proxy}/real/deleted:v1`)
    const listed: { Tags?: unknown } = JSON.parse(await skopeo.run('list-tags', '--tls-verify=false', `${proxy}/real/deleted`))
    t.same(listed.Tags, ['v1'], 'and can be pushed again')
  })

  t.test('sync from an agent to a folder, and from there to the proxy', async t => {
    const folder = temporaryFolder(t)
    const source = `127.0.0.1:${must(agents[0]).registryPort}/real/layers`
    await skopeo.run('sync', '--all', '--src-tls-verify=false', '--src', 'docker', '--dest', 'dir', source, folder)
    await skopeo.run('sync', '--all', '--dest-tls-verify=false', '--src', 'dir', '--dest', 'docker', folder, `127.0.0.1:${proxyPort}/synced`)
    const raw = await skopeo.run('inspect', '--tls-verify=false', '--raw', `${proxy}/synced/layers:v1`)
    t.equal(raw, await skopeo.run('inspect', '--tls-verify=false', '--raw', `${proxy}/real/layers:v1`))
  })

  t.test('what is not there, and what may not be done, fails at once with a reason', async t => {
    const agent = `docker://127.0.0.1:${must(agents[0]).registryPort}`
    await t.rejects(skopeo.run('inspect', '--tls-verify=false', `${agent}/real/oci:none`), /manifest unknown/)
    await t.rejects(skopeo.run('inspect', '--tls-verify=false', `${proxy}/real/none:v1`), /manifest unknown/)
    await t.rejects(skopeo.run('delete', '--tls-verify=false', `${proxy}/real/oci:none`), /may not exist|manifest unknown/i)
    await t.rejects(skopeo.run('delete', '--tls-verify=false', `${agent}/real/oci:v1`), /read-only|unsupported/i)
    await t.rejects(skopeo.copy(`${proxy}/real/oci:v1`, `${agent}/real/oci:v2`), /read-only|unsupported/i)
    const image = await makeImage(must(IMAGES[0])[2])
    t.equal((await call(proxyPort, 'HEAD', blobPath('real/oci', must(image.blobs[0]).digest))).status, 200, 'nothing was deleted')
  })
}

await main()
