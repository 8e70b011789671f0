import t from 'tap'
import { digestOf } from '../../../runtime/core/digest.js'
import { noLog } from '../../../runtime/observe/log.js'
import { createRegistry } from '../../../runtime/registry/server.js'
import { bytesOf, fakeRequest } from '../../support/registry/fake-request.js'
import { MemoryCluster } from '../../support/registry/memory-cluster.js'

async function get (target: string): Promise<{ status: number, link: string | undefined, body: unknown }> {
  const cluster = new MemoryCluster()
  for (const name of ['b/app:2', 'b/app:10', 'b/app:V1', 'b/app:a', 'a:x', 'c:y', 'host:5000/d:z']) cluster.tags.set(name, digestOf(name))
  const reply = await createRegistry({ reads: cluster.reads, writes: undefined }, { log: noLog })(fakeRequest('GET', target))
  return { status: reply.status, link: reply.headers?.Link, body: JSON.parse((await bytesOf(reply)).toString()) }
}

for (const [query, tags, link] of [
  ['', ['10', '2', 'V1', 'a'], undefined],
  ['?n=2', ['10', '2'], '</v2/b/app/tags/list?last=2&n=2>; rel="next"'],
  ['?n=2&last=2', ['V1', 'a'], undefined],
  ['?n=3&last=2', ['V1', 'a'], undefined],
  ['?last=2', ['V1', 'a'], undefined],
  ['?last=3', ['V1', 'a'], undefined],
  ['?last=z', [], undefined],
  ['?n=0', [], undefined],
  ['?n=4', ['10', '2', 'V1', 'a'], undefined],
  ['?n=99999', ['10', '2', 'V1', 'a'], undefined],
  ['?n=1&ns=docker.example', ['10'], '</v2/b/app/tags/list?last=10&n=1>; rel="next"']
] as const) {
  t.test(`tags/list${query}`, async t => {
    t.same(await get(`/v2/b/app/tags/list${query}`), { status: 200, link, body: { name: 'b/app', tags } })
  })
}

for (const [query, repositories, link] of [
  ['', ['a', 'b/app', 'c', 'host:5000/d'], undefined],
  ['?n=2', ['a', 'b/app'], '</v2/_catalog?last=b%2Fapp&n=2>; rel="next"'],
  ['?n=2&last=b%2Fapp', ['c', 'host:5000/d'], undefined],
  ['?n=0', [], undefined]
] as const) {
  t.test(`_catalog${query}`, async t => {
    t.same(await get(`/v2/_catalog${query}`), { status: 200, link, body: { repositories } })
  })
}

for (const n of ['-1', 'x', '1.5', '1e3', '9'.repeat(20)]) {
  t.test(`n=${n} is refused`, async t => {
    t.equal((await get(`/v2/b/app/tags/list?n=${n}`)).status, 400)
    t.equal((await get(`/v2/_catalog?n=${n}`)).status, 400)
  })
}
