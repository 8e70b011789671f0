import { readFileSync } from 'node:fs'
import t from 'tap'
import { startBuildIndex } from '../../runtime/build-index/component.js'
import { noLog } from '../../runtime/observe/log.js'
import { startTracker } from '../../runtime/tracker/component.js'
import { type Answer, call } from '../support/http-call.js'
import { must } from '../support/must.js'
import { pattern } from '../support/pattern.js'
import { SmallOrigin } from '../support/small-origin.js'
import { loneIndexConfig } from '../support/task-config.js'

/*
 * The recorded exchanges with the reference's tracker and build-index, sent to ours: same statuses, same headers, same
 * bytes (http-api specification 14.6). Where ours differs on purpose, it says so below.
 */

interface Step {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly headers?: Record<string, string>
  readonly body?: string
  readonly response: { readonly status: number, readonly headers: Record<string, string>, readonly body?: string }
}

const { steps }: { steps: readonly Step[] } = JSON.parse(readFileSync(new URL('./vectors/http.json', import.meta.url), 'utf8'))
const RECORDED_HEADERS = ['allow', 'content-length', 'content-type', 'location', 'transfer-encoding', 'x-content-type-options']

function stepsOf (component: string): Step[] { return steps.filter(step => step.id.startsWith(`${component}.`)) }

function comparable ({ status, headers, body }: Answer): object {
  const shown = Object.fromEntries(RECORDED_HEADERS.flatMap(name => headers[name] === undefined ? [] : [[name, headers[name]]]))
  return { status, headers: shown, body: body.toString() }
}

interface Announced { readonly peers: Array<{ readonly ip: string }> | null, readonly interval: number }

/** Ours leaves the announcing peer out; the order of equal peers is nobody's. */
function withoutSelf (body: string, self: string | undefined): Announced {
  const { peers, interval } = JSON.parse(body) as Announced
  const others = (peers ?? []).filter(peer => peer.ip !== self).sort((a, b) => a.ip < b.ip ? -1 : 1)
  return { peers: peers === null ? null : others, interval }
}

t.test('tracker', async t => {
  const origin = await SmallOrigin.start()
  origin.describe(origin.put('hello'), 65_536, 907_060_870)
  const tracker = await startTracker({
    port: 0,
    announceIntervalMs: 3000,
    announceLimit: 50,
    handoutPolicy: 'completeness',
    peerTtlMs: 5 * 3600_000,
    originStore: { locationsTtlMs: 10_000, locationsErrorTtlMs: 1000, contextTtlMs: 10_000, unavailableTtlMs: 60_000 },
    origin: origin.upstream,
    ...loneIndexConfig(t.testdir())
  }, noLog)
  t.teardown(async () => {
    await tracker.stop()
    await origin.stop()
  })
  for (const { id, method, path, headers, body, response } of stepsOf('tracker')) {
    const answer = await call(must(tracker.ports.port), method, path, { body, headers })
    if (response.body?.startsWith('{"peers":[') === true) {
      const self = (JSON.parse(body ?? '') as { peer: { ip: string } }).peer.ip
      t.equal(answer.status, response.status, id)
      t.equal(answer.headers['content-type'], response.headers['content-type'], id)
      t.same(withoutSelf(answer.body.toString(), undefined), withoutSelf(response.body, self), id)
      t.match(answer.body.toString(), /,"interval":3000000000\}\n$/, id)
    } else {
      t.same(comparable(answer), response, id)
    }
  }
})

/** Of the reference's backend or front layer, not of the API: where it fails or is behind, ours answers. */
const INDEX_DIFFERENCES: Readonly<Record<string, string>> = {
  'bi.repo.limit': '{"Links":{"next":"/repositories/team%2Fapp/tags?limit=1\\u0026offset=dGVhbS9hcHA6djE","self":"/repositories/team%2Fapp/tags?limit=1"},"size":1,"result":["v1"]}\n',
  'bi.repo.absent': '{"Links":{"next":"","self":"/repositories/no%2Fsuch/tags"},"size":0,"result":null}\n',
  'bi.list': '{"Links":{"next":"","self":"/list/"},"size":3,"result":["team/app:v1","team/app:v2","team/app:v3"]}\n'
}

t.test('build-index', async t => {
  const origin = await SmallOrigin.start()
  const push = must(steps.find(step => step.id === 'proxy.manifest.put'))
  const manifest = origin.put(push.body ?? '')
  origin.put('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:6a3cc148a2e71263354034fe075552726d78047aab2368663310e40f6c22dbe8"]}}')
  origin.put(pattern(2048))
  const buildIndex = await startBuildIndex({
    port: 0,
    store: { uploadDir: t.testdir(), cacheDir: t.testdir() },
    tagTypes: [{ pattern: /.*/, type: 'docker' }],
    origin: origin.upstream,
    ...loneIndexConfig(t.testdir())
  }, noLog, { sleep: async () => {} })
  t.teardown(async () => {
    await buildIndex.stop()
    await origin.stop()
  })
  const port = must(buildIndex.ports.port)
  const first = await call(port, 'PUT', `/tags/team%2Fapp:v1/digest/${manifest}`)
  t.equal(first.status, 200, 'what the proxy had pushed before')
  for (const { id, method, path, headers, body, response } of stepsOf('bi')) {
    const answer = comparable(await call(port, method, path, { body, headers }))
    const other = INDEX_DIFFERENCES[id]
    if (other !== undefined) t.match(answer, { status: 200, body: other }, id)
    else if (id === 'bi.origin') t.match(answer, { status: 200, headers: { 'content-type': response.headers['content-type'] }, body: origin.address }, id)
    else t.same(answer, response, id)
  }
})
