import t from 'tap'
import { digestOf } from '../../../runtime/core/digest.js'
import { parsePrefetchTarget } from '../../../runtime/proxy/prefetch-target.js'

const DIGEST = digestOf('manifest')

for (const [text, repository, tag, shown] of [
  ['127.0.0.1/team/app:v1', 'team/app', 'v1', 'app:v1'],
  ['registry/team/app:v1', 'team/app', 'v1', 'app:v1'],
  ['registry:5000/team/app:v1', 'team/app', 'v1', 'app:v1'],
  ['registry/team/sub/app:v1', 'team/sub/app', 'v1', 'app:v1'],
  ['team/app:v1', 'team/app', 'v1', 'app:v1'],
  ['localhost/app:v1', 'app', 'v1', 'app:v1'],
  ['registry:5000/app:v1', 'app', 'v1', 'app:v1'],
  ['registry.local/app:v1', 'app', 'v1', 'app:v1'],
  ['app:v1', 'app', 'v1', 'app:v1']
] as const) {
  t.test(text, async t => { t.same(parsePrefetchTarget(text), { repository, reference: { tag }, shown }) })
}

t.test('by digest', async t => {
  for (const name of ['app', 'app:v1']) {
    const text = `host/team/${name}@${DIGEST}`
    t.same(parsePrefetchTarget(text), { repository: 'team/app', reference: { digest: DIGEST }, shown: `${name}@${DIGEST}` })
  }
})

for (const text of ['', 'noslash', 'a/b', 'host/team/app', ':v1', 'app:', 'host//app:v1', 'host/team/', '/', 'app@sha256:short', `@${DIGEST}`, 'host/team/app@']) {
  t.test(`"${text}" is no image`, async t => { t.equal(parsePrefetchTarget(text), undefined) })
}
