import { join } from 'node:path'
import t from 'tap'
import { type BackendClient, readObject } from '../../runtime/backend/backend.js'
import { RegistryBlobClient } from '../../runtime/backend/registry/blob-client.js'
import { Registry } from '../../runtime/backend/registry/registry.js'
import { RegistryTagClient } from '../../runtime/backend/registry/tag-client.js'
import { registry } from '../../runtime/config/sections/backends/registry.js'
import { digestOf } from '../../runtime/core/digest.js'
import { guarded } from '../support/backend-suite.js'
import { writeDirImage } from '../support/dir-image.js'
import { makeImage } from '../support/image.js'
import { must } from '../support/must.js'
import { arePresent, Skopeo, startDockerRegistry } from '../support/programs.js'
import { temporaryFolder } from '../support/system.js'

/* Reading through from Docker's registry. */

async function main (): Promise<void> {
  if (!arePresent(t, 'skopeo', 'docker-registry')) return
  t.test('tags, manifests and layers', async t => {
    const port = await startDockerRegistry(t)
    const image = await makeImage({ layerBytes: [3_000_000, 10_000], seed: 301 })
    const folder = join(temporaryFolder(t), 'image')
    await writeDirImage(folder, image)
    await new Skopeo(t).copy(`dir:${folder}`, `docker://127.0.0.1:${port}/library/app:1.0`)
    const config = registry.schema.parse({ address: `127.0.0.1:${port}`, security: { tls: { client: { disabled: true } } } })
    const blobs = guarded(new RegistryBlobClient(new Registry(config)))
    const tags = guarded(new RegistryTagClient(new Registry(config)))
    t.teardown(async () => { await Promise.all([blobs.close(), tags.close()]) })
    const read = async (client: BackendClient, namespace: string, name: string, offset = 0): Promise<Buffer> =>
      await readObject(must(await client.download(namespace, name, { offset })), 2 ** 26)

    const digest = (await read(tags, '', 'library/app:1.0')).toString()
    const manifest = await read(blobs, 'library/app', digest.slice('sha256:'.length))
    t.equal(digestOf(manifest), digest)
    interface Part { readonly digest: string, readonly size: number }
    const { config: about, layers }: { config: Part, layers: readonly Part[] } = JSON.parse(manifest.toString())
    t.equal(layers.length, 2)
    for (const { digest, size } of [about, ...layers]) {
      const name = digest.slice('sha256:'.length)
      t.same(await blobs.stat('library/app', name), { sizeBytes: size })
      const bytes = await read(blobs, 'library/app', name)
      t.equal(digestOf(bytes), digest)
      t.ok((await read(blobs, 'library/app', name, 100)).equals(bytes.subarray(100)), 'from an offset')
    }
    t.equal(await blobs.stat('library/app', 'ab'.repeat(32)), undefined)
    t.equal(await tags.stat('', 'library/app:none'), undefined)
    t.equal(await tags.stat('', 'nobody/app:1.0'), undefined)
    await blobs.checkReadiness()
  })
}

await main()
