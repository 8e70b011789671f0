import t from 'tap'
import fc from '../../support/fc.js'
import { digestOf } from '../../../runtime/core/digest.js'
import { isAppError, messageOf } from '../../../runtime/core/errors.js'
import {
  DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, isManifestType, MANIFEST_BYTES_MAX, OCI_INDEX, OCI_MANIFEST, parseManifest, REFERENCES_MAX, type Manifest
} from '../../../runtime/registry/manifest.js'

const A = { mediaType: 'application/a', digest: digestOf('a'), size: 1 }
const B = { mediaType: 'application/b', digest: digestOf('b'), size: 2 }
const image = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: A, layers: [B] }
const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [A, B] }

function parse (value: unknown, contentType?: string): Manifest {
  return parseManifest(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)), contentType)
}
function faultOf (value: unknown, contentType?: string): string {
  try {
    parse(value, contentType)
    return ''
  } catch (error) {
    return isAppError(error, 'MANIFEST_INVALID') ? error.message : `not an AppError: ${messageOf(error)}`
  }
}

for (const mediaType of [OCI_MANIFEST, DOCKER_MANIFEST]) {
  t.test(`an image of type ${mediaType}`, async t => {
    t.same(parse({ ...image, mediaType }, `${mediaType}; charset=utf-8`), {
      kind: 'image',
      mediaType,
      references: [{ ...A, role: 'config', isOptional: false }, { ...B, role: 'layer', isOptional: false }],
      subject: undefined,
      artifactType: undefined,
      annotations: {}
    })
  })
}

for (const mediaType of [OCI_INDEX, DOCKER_MANIFEST_LIST]) {
  t.test(`an index of type ${mediaType}`, async t => {
    const { kind, references } = parse({ ...index, mediaType })
    t.equal(kind, 'index')
    t.same(references, [{ ...A, role: 'child', isOptional: false }, { ...B, role: 'child', isOptional: false }])
  })
}

t.test('without a media type of its own, the header and then the content decide', async t => {
  t.equal(parse({ ...index, mediaType: undefined }).mediaType, OCI_INDEX)
  t.equal(parse({ ...image, mediaType: undefined }).mediaType, OCI_MANIFEST)
  t.equal(parse({ ...image, mediaType: undefined }, DOCKER_MANIFEST).mediaType, DOCKER_MANIFEST)
  t.equal(parse({ schemaVersion: 2, manifests: [] }, OCI_INDEX).kind, 'index')
  t.equal(parse({ schemaVersion: 2, mediaType: OCI_INDEX }).references.length, 0)
})

t.test('layers that may be absent', async t => {
  const layers = [
    B,
    { ...B, urls: ['https://example.com/layer'] },
    { ...B, urls: [] },
    { ...B, mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip' },
    { ...B, mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd' }
  ]
  t.same(parse({ ...image, layers }).references.map(reference => reference.isOptional), [false, false, true, false, true, true])
})

t.test('what lists of referrers need', async t => {
  const manifest = parse({ ...image, subject: B, artifactType: 'application/x.sbom', annotations: { key: 'value' } })
  t.match(manifest.subject, B)
  t.equal(manifest.artifactType, 'application/x.sbom')
  t.same(manifest.annotations, { key: 'value' })
})

t.test('what is refused says why', async t => {
  const cases: ReadonlyArray<readonly [unknown, RegExp, string?]> = [
    ['\u0000\u0001', /^manifest: invalid character '\\x00' looking for beginning of value$/],
    ['\ufeff{}', /^manifest: /],
    ['{"schemaVersion":2', /unexpected EOF/],
    ['[]', /no JSON object/],
    [{ ...image, schemaVersion: 1 }, /schemaVersion must be 2, not 1/],
    [{ ...image, schemaVersion: '2' }, /schemaVersion/],
    [{ ...image, mediaType: 'application/vnd.docker.distribution.manifest.v1+prettyjws' }, /not supported/],
    [{ ...image, mediaType: 'x'.repeat(256) }, /mediaType/],
    [image, /sent as/, DOCKER_MANIFEST],
    [{ ...image, mediaType: undefined }, /"application\/json" is not supported/, 'application/json'],
    [{ ...image, manifests: [A] }, /must not have "manifests"/],
    [{ ...index, layers: [A] }, /must not have "layers"/],
    [{ ...index, config: A }, /must not have "config"/],
    [{ ...image, mediaType: undefined, manifests: [A] }, /must not have "layers"/],
    [{ ...image, config: undefined }, /config must be an object/],
    [{ ...image, layers: {} }, /layers must be a list/],
    [{ ...image, layers: [B, null] }, /layers\[1\] must be an object/],
    [{ ...image, layers: [{ ...B, digest: 'sha256:abc' }] }, /layers\[0\]\.digest/],
    [{ ...image, layers: [{ ...B, digest: `sha512:${'a'.repeat(127)}` }] }, /layers\[0\]\.digest/],
    [{ ...image, layers: [{ ...B, size: -1 }] }, /layers\[0\]\.size/],
    [{ ...image, layers: [{ ...B, size: 1.5 }] }, /layers\[0\]\.size/],
    [{ ...image, layers: [{ ...B, size: undefined }] }, /layers\[0\]\.size/],
    [{ ...index, manifests: ['x'] }, /manifests\[0\]/],
    [{ ...image, subject: 'x' }, /subject/],
    [{ ...image, artifactType: 5 }, /artifactType/],
    [{ ...image, annotations: { key: 5 } }, /annotations/],
    [{ ...image, annotations: [] }, /annotations/]
  ]
  for (const [value, message, contentType] of cases) t.match(faultOf(value, contentType), message)
})

t.test('limits: the last good and the first bad', async t => {
  const padded = (bytes: number): string => JSON.stringify(image).padEnd(bytes, ' ')
  t.equal(faultOf(padded(MANIFEST_BYTES_MAX)), '')
  t.match(faultOf(padded(MANIFEST_BYTES_MAX + 1)), /at most 4194304/)
  const layer = { digest: B.digest, size: 0 }
  t.equal(faultOf({ ...image, layers: new Array(REFERENCES_MAX).fill(layer) }), '')
  t.match(faultOf({ ...image, layers: new Array(REFERENCES_MAX + 1).fill(layer) }), /at most 20000/)
  const depth = 1_000_000
  t.match(faultOf('['.repeat(depth)), /manifest: /)
  t.equal(faultOf(`${JSON.stringify(image).slice(0, -1)},"deep":${'['.repeat(depth)}${']'.repeat(depth)}}`), '', 'depth alone does no harm')
})

t.test('media types', async t => {
  for (const type of [OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST, DOCKER_MANIFEST_LIST]) t.ok(isManifestType(type))
  t.notOk(isManifestType('application/json'))
})

t.test('any document whatever is either read or refused', async () => {
  const member = fc.oneof(fc.jsonValue(), fc.constant(A), fc.constant([A, B]), fc.constant(2), fc.constant(OCI_INDEX))
  const keys = fc.constantFrom('schemaVersion', 'mediaType', 'config', 'layers', 'manifests', 'subject', 'annotations', 'artifactType')
  fc.assert(fc.property(fc.dictionary(keys, member), value => !faultOf({ schemaVersion: 2, ...value }).startsWith('not an AppError')))
})
