import { blobPath, manifestPath } from '../../net/api/registry.js'
import { type Digest } from '../../runtime/core/digest.js'
import { type Answer, call, type CallOptions, receive } from './http-call.js'
import { type Image, type ImageManifest } from './image.js'
import { type RandomBlob } from './random-blob.js'

/*
 * A registry on a port of 127.0.0.1 as container tools use it. Every function throws an error that says which answer was
 * not what it had to be; the plain calls are in http-call.ts.
 */

export type PushedBlob = Pick<RandomBlob, 'digest' | 'open'>

/** What tools accept when they ask for a manifest. */
export const MANIFEST_TYPES = [
  'application/vnd.oci.image.index.v1+json', 'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json', 'application/vnd.docker.distribution.manifest.v2+json'
].join(', ')

/** Uploads as docker does: asks first, then POST, one PATCH of a length that it does not state, PUT. */
export async function pushBlob (port: number, repository: string, blob: PushedBlob): Promise<void> {
  const known = await call(port, 'HEAD', blobPath(repository, blob.digest))
  if (known.status === 200) return
  const patched = expect(202, await call(port, 'PATCH', await startUpload(port, repository), { body: blob.open() }))
  const created = expect(201, await call(port, 'PUT', `${locationOf(patched)}&digest=${blob.digest}`))
  expectHeader(created, 'docker-content-digest', blob.digest)
}

/** Begins an upload and returns where it goes on: path and query. */
export async function startUpload (port: number, repository: string): Promise<string> {
  return locationOf(expect(202, await call(port, 'POST', `/v2/${repository}/blobs/uploads/`)))
}

export async function pushManifest (port: number, repository: string, reference: string, manifest: ImageManifest): Promise<void> {
  const body = manifest.bytes
  const created = expect(201, await call(port, 'PUT', `/v2/${repository}/manifests/${reference}`, { headers: { 'Content-Type': manifest.mediaType }, body }))
  expectHeader(created, 'docker-content-digest', manifest.digest)
}

/** Pushes all blobs, then the manifests, the last of them by the tag. */
export async function pushImage (port: number, repository: string, tag: string, image: Image): Promise<void> {
  await Promise.all(image.blobs.map(async blob => { await pushBlob(port, repository, blob) }))
  for (const manifest of image.manifests) await pushManifest(port, repository, manifest === image.top ? tag : manifest.digest, manifest)
}

/** Pulls everything that the image is made of, as a tool does that was told `reference`, and compares it to the byte. */
export async function pullImage (port: number, repository: string, reference: string, image: Image): Promise<void> {
  await pullManifest(port, repository, reference, image.top)
  for (const manifest of image.manifests) await pullManifest(port, repository, manifest.digest, manifest)
  await Promise.all(image.blobs.map(async ({ digest, sizeBytes }) => { await pullBlob(port, repository, digest, sizeBytes) }))
}

/** Gets a manifest, which must come with the bytes and the type with which it was pushed. */
export async function pullManifest (port: number, repository: string, reference: string, manifest: ImageManifest): Promise<void> {
  const answer = expect(200, await call(port, 'GET', `/v2/${repository}/manifests/${reference}`, { headers: { Accept: MANIFEST_TYPES } }))
  expectHeader(answer, 'content-type', manifest.mediaType)
  expectHeader(answer, 'docker-content-digest', manifest.digest)
  if (!answer.body.equals(manifest.bytes)) throw new Error(`the manifest ${reference} is not what was pushed: ${answer.body.toString('utf8', 0, 200)}`)
}

/** Gets a blob and checks every byte of it by its digest. */
export async function pullBlob (port: number, repository: string, digest: Digest, sizeBytes: number, options: CallOptions = {}): Promise<void> {
  const answer = await receive(port, blobPath(repository, digest), options)
  if (answer.status !== 200) throw new Error(`blob ${digest} was answered ${answer.status}`)
  if (answer.digest !== digest) throw new Error(`blob ${digest} came with ${answer.sizeBytes} bytes of the digest ${answer.digest}`)
  expectHeader(answer, 'content-length', String(sizeBytes))
}

/** The digest that a tag points at; undefined for an unknown tag. */
export async function resolveTag (port: number, repository: string, tag: string): Promise<string | undefined> {
  const answer = await call(port, 'HEAD', `/v2/${repository}/manifests/${tag}`, { headers: { Accept: MANIFEST_TYPES } })
  return answer.status === 404 ? undefined : String(expect(200, answer).headers['docker-content-digest'])
}

/** The codes of a registry's error answer. */
export function errorCodes ({ body }: Answer): unknown[] {
  const document: { errors?: Array<{ code?: unknown }> } = JSON.parse(body.toString())
  return (document.errors ?? []).map(({ code }) => code)
}

/** Path and query of the `Location` of an answer, whether it is absolute or not. */
export function locationOf ({ headers }: Pick<Answer, 'headers'>): string {
  const { pathname, search } = new URL(headers.location ?? '', 'http://127.0.0.1')
  return pathname + search
}

export { blobPath, manifestPath }

function expect (status: number, answer: Answer): Answer {
  if (answer.status === status) return answer
  throw new Error(`expected status ${status}, got ${answer.status}: ${answer.body.toString('utf8', 0, 500)}`)
}

function expectHeader ({ headers }: Pick<Answer, 'headers'>, name: string, value: string): void {
  if (headers[name] !== value) throw new Error(`expected ${name}: ${value}, got ${String(headers[name])}`)
}
