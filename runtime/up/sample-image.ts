import { createWriteStream, existsSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type Digest, hexOf } from '../core/digest.js'
import { makeImage } from '../demo/image.js'

const MIB = 1024 * 1024
const TAG = 'latest'

/**
 * Puts a small image into `<data>/sample`, as an OCI image layout, so that there is something to push on a machine without
 * any image and without a network. Kept from one start to the next. Returns how image tools name it.
 */
export async function sampleImage (dataDir: string): Promise<string> {
  const folder = join(dataDir, 'sample')
  if (!existsSync(folder)) {
    // Complete or not there at all: a start that was interrupted leaves only the temporary folder.
    const draft = `${folder}.tmp`
    await rm(draft, { recursive: true, force: true })
    await writeLayout(draft)
    await rename(draft, folder)
  }
  return `oci:${folder}:${TAG}`
}

async function writeLayout (folder: string): Promise<void> {
  const image = await makeImage({ layerBytes: [1 * MIB, 8 * MIB] })
  const blobs = join(folder, 'blobs', 'sha256')
  await mkdir(blobs, { recursive: true })
  const pathOf = (digest: Digest): string => join(blobs, hexOf(digest))
  for (const blob of image.blobs) await pipeline(blob.open(), createWriteStream(pathOf(blob.digest)))
  for (const manifest of image.manifests) await writeFile(pathOf(manifest.digest), manifest.bytes)
  const { digest, mediaType, bytes } = image.top
  const annotations = { 'org.opencontainers.image.ref.name': TAG }
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [{ mediaType, digest, size: bytes.length, annotations }] }))
  await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
}
