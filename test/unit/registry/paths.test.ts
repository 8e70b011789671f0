import t from 'tap'
import { isRepositoryName, isTag, mirroredRepository, parseRegistryPath } from '../../../net/api/registry.js'

const HEX = 'a'.repeat(64)
const DIGEST = `sha256:${HEX}`
const LONG_NAME = 'a/'.repeat(127) + 'a'

for (const [path, kind, rest] of [
  ['/', 'root', {}],
  ['/v2/', 'base', {}],
  ['/v2', 'redirect', { path: '/v2/' }],
  ['/v2/_catalog', 'catalog', {}],
  ['/v2/_catalog/', 'none', {}],
  ['/v2/app/tags/list', 'tags', { repository: 'app' }],
  ['/v2/a/b/c/tags/list', 'tags', { repository: 'a/b/c' }],
  ['/v2/tags/list', 'none', {}],
  ['/v2/app/tags/list/', 'none', {}],
  ['/v2/app/manifests/latest', 'manifest', { repository: 'app', reference: { kind: 'tag', tag: 'latest' } }],
  ['/v2/app/manifests/list', 'manifest', { repository: 'app', reference: { kind: 'tag', tag: 'list' } }],
  [`/v2/team/app/manifests/${DIGEST}`, 'manifest', { repository: 'team/app', reference: { kind: 'digest', digest: DIGEST } }],
  [`/v2/team/app/manifests/sha256%3A${HEX}`, 'manifest', { repository: 'team/app', reference: { kind: 'digest', digest: DIGEST } }],
  ['/v2/team%2Fapp/manifests/v1', 'manifest', { repository: 'team/app', reference: { kind: 'tag', tag: 'v1' } }],
  ['/v2/app/manifests/sha256:short', 'badDigest', { text: 'sha256:short' }],
  [`/v2/app/manifests/sha512:${HEX}${HEX}`, 'manifest', { repository: 'app', reference: { kind: 'digest', digest: `sha512:${HEX}${HEX}` } }],
  [`/v2/app/blobs/sha512:${HEX}${HEX}`, 'blob', { repository: 'app', digest: `sha512:${HEX}${HEX}` }],
  [`/v2/app/manifests/sha512:${HEX}`, 'badDigest', { text: `sha512:${HEX}` }],
  ['/v2/app/manifests/-x', 'none', {}],
  [`/v2/app/manifests/${'t'.repeat(129)}`, 'none', {}],
  [`/v2/app/manifests/${'t'.repeat(128)}`, 'manifest', { repository: 'app', reference: { kind: 'tag', tag: 't'.repeat(128) } }],
  ['/v2/app/manifests/', 'none', {}],
  ['/v2/manifests/x', 'none', {}],
  [`/v2/app/blobs/${DIGEST}`, 'blob', { repository: 'app', digest: DIGEST }],
  ['/v2/app/blobs/sha256:nope', 'badDigest', { text: 'sha256:nope' }],
  ['/v2/app/blobs/', 'none', {}],
  ['/v2/app/blobs/uploads', 'redirect', { path: '/v2/app/blobs/uploads/' }],
  ['/v2/app/blobs/uploads/', 'uploads', { repository: 'app' }],
  ['/v2/a/b/blobs/uploads/', 'uploads', { repository: 'a/b' }],
  ['/v2/blobs/uploads/', 'none', {}],
  ['/v2/app/blobs/uploads/0-1', 'upload', { repository: 'app', upload: '0-1' }],
  ['/v2/app/blobs/uploads/x/', 'none', {}],
  ['/v2/app/blobs/uploads/a%20b', 'none', {}],
  [`/v2/app/referrers/${DIGEST}`, 'referrers', { repository: 'app', digest: DIGEST }],
  ['/v2/app/referrers/x', 'badDigest', { text: 'x' }],
  ['/v2/Team/App/blobs/uploads/', 'none', {}],
  ['/v2/host.example:5000/app/blobs/uploads/', 'uploads', { repository: 'host.example:5000/app' }],
  ['/v2/a..b/tags/list', 'none', {}],
  ['/v2/a___b/tags/list', 'none', {}],
  ['/v2/a__b/c--d/e.f/tags/list', 'tags', { repository: 'a__b/c--d/e.f' }],
  [`/v2/${LONG_NAME}/tags/list`, 'tags', { repository: LONG_NAME }],
  [`/v2/${LONG_NAME}b/tags/list`, 'badName', { text: `${LONG_NAME}b` }],
  ['//v2//app//tags/list', 'redirect', { path: '/v2/app/tags/list' }],
  ['/v2/app/../other/tags/list', 'redirect', { path: '/v2/other/tags/list' }],
  ['/v2/app/%2e%2e/%2e%2e/%2e%2e/etc/passwd', 'redirect', { path: '/etc/passwd' }],
  ['/v2/app/blobs//uploads/', 'redirect', { path: '/v2/app/blobs/uploads/' }],
  ['//evil.example/', 'redirect', { path: '/evil.example/' }],
  ['/v2/%zz', 'badPath', {}],
  ['/v2/%ff', 'badPath', {}],
  ['/v3/', 'none', {}],
  ['/v2/app', 'none', {}],
  ['/health', 'none', {}]
] as const) {
  t.test(`${path.slice(0, 80)} is ${kind}`, async t => { t.same(parseRegistryPath(path), { kind, ...rest }) })
}

t.test('names and tags at their limits', async t => {
  t.ok(isRepositoryName('a'.repeat(255)))
  t.notOk(isRepositoryName('a'.repeat(256)))
  t.notOk(isRepositoryName(''))
  t.notOk(isRepositoryName('app/'))
  t.ok(isTag('_'))
  t.notOk(isTag('.x'))
  t.notOk(isTag(''))
  t.notOk(isTag('a/b'))
})

t.test('a name made to slow down matching is refused at once', async t => {
  t.equal(parseRegistryPath(`/v2/${'a-'.repeat(50_000)}/tags/list`).kind, 'none')
})

t.test('repositories of other registries', async t => {
  for (const [host, repository, expected] of [
    ['registry.example', 'library/app', 'registry.example/library/app'],
    ['Registry.Example:5000', 'app', 'registry.example_5000/app'],
    ['127.0.0.1:5000', 'app', '127.0.0.1_5000/app'],
    ['', 'app', undefined],
    ['..', 'app', undefined],
    ['a/b', 'app', undefined],
    ['a:b:5', 'app', undefined],
    ['x'.repeat(252), 'app', undefined]
  ] as const) t.equal(mirroredRepository(host, repository), expected, host)
})
