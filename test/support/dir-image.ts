import { createWriteStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type Digest, digestOf, hexOf } from '../../runtime/core/digest.js'
import { type Image } from './image.js'

/*
 * The `dir:` layout of container tools, which takes images of every kind as they are:
 *
 *   version               a line that names the layout
 *   manifest.json         what the tag points at
 *   <hex>.manifest.json   the manifests of an index
 *   <hex>                 every blob
 */

const VERSION = 'Directory Transport Version: 1.1\n'

export async function writeDirImage (folder: string, image: Image): Promise<void> {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'version'), VERSION)
  for (const manifest of image.manifests) writeFileSync(join(folder, manifestName(image, manifest.digest)), manifest.bytes)
  for (const { digest, open } of image.blobs) await pipeline(open(), createWriteStream(join(folder, hexOf(digest))))
}

/** The names of the files in which something else is than in the image; those of the image that are missing throw. */
export function differences (folder: string, image: Image): string[] {
  const expected = [
    ...image.manifests.map(({ digest }) => ({ name: manifestName(image, digest), digest })),
    ...image.blobs.map(({ digest }) => ({ name: hexOf(digest), digest }))
  ]
  return expected.filter(({ name, digest }) => digestOf(readFileSync(join(folder, name))) !== digest).map(({ name }) => name)
}

function manifestName (image: Image, digest: Digest): string {
  return digest === image.top.digest ? 'manifest.json' : `${hexOf(digest)}.manifest.json`
}
