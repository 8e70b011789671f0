import t from 'tap'
import { findViolations, importsOf, layerOf } from '../../../tools/check-imports.js'

const edges = (importer: string, ...specifiers: string[]): string[] =>
  findViolations([{ path: importer, text: specifiers.map(specifier => `import '${specifier}'`).join('\n') }])

t.test('every way to import is seen', async t => {
  t.same(importsOf(`
    import a from './a.js'
    import { type B } from './b.js'
    import type { C } from './c.js'
    export * from './d.js'
    export { e } from './e.js'
    const f = await import('./f.js')
    // import g from './g.js'
    const text = "import h from './h.js'"
  `).sort(), ['./a.js', './b.js', './c.js', './d.js', './e.js', './f.js'])
})

t.test('layers', async t => {
  for (const [path, layer] of [
    ['wasm/crc32.ts', 0], ['runtime/core/digest.ts', 1], ['net/api/route.ts', 2], ['net/http/uws.ts', 3], ['workers/jobs.ts', 4],
    ['runtime/registry/manifest.ts', 5], ['runtime/tracker/server.ts', 6], ['runtime/main.ts', 7], ['tools/check.ts', 7], ['runtime/other.ts', undefined]
  ] as const) t.equal(layerOf(path), layer, path)
})

t.test('imports that run downhill, or stay in a layer, pass', async t => {
  t.same(edges('runtime/tracker/server.ts', './announce.js', '../core/digest.js', '../../net/http/router.js', 'undici', 'node:fs'), [])
  t.same(edges('runtime/main.ts', './agent/component.js', './up/up.js'), [])
  t.same(edges('net/client/blob.ts', '../http/errors.js', '../../wasm/crc32.js'), [])
  t.same(edges('test/unit/tools/x.test.ts', '../../../tools/check-imports.js', '../../../bench/main.js'), [])
  t.same(edges('net/http/uws.ts', 'uWebSockets.js'), [])
})

t.test('imports that climb are named', async t => {
  t.same(edges('runtime/core/digest.ts', '../store/cas.js'), ['runtime/core/digest.ts imports ../store/cas.js: climbs from layer 1 to layer 3'])
  t.match(edges('runtime/registry/blobs.ts', '../proxy/server.js'), [/climbs from layer 5 to layer 6/])
  t.match(edges('net/peer/link.ts', '../../workers/jobs.js'), [/climbs from layer 3 to layer 4/])
  t.match(edges('runtime/agent/server.ts', '../main.js', '../../tools/check.js'), [/climbs/, /climbs/])
})

t.test('components do not import each other', async t => {
  t.match(edges('runtime/agent/server.ts', '../proxy/parts.js'), ['runtime/agent/server.ts imports ../proxy/parts.js: one component imports another'])
  t.same(edges('runtime/agent/deep/part.ts', '../server.js'), [])
})

t.test('what is published does not import what is not', async t => {
  t.match(edges('bench/main.ts', '../test/support/pattern.js'), [/published/])
  t.match(edges('runtime/main.ts', '../tools/check.js'), [/published/])
})

t.test('files and targets outside the table are named', async t => {
  t.match(edges('runtime/misc/a.ts', './b.js'), [/importing file belongs to no layer/])
  t.match(edges('runtime/main.ts', './misc/a.js'), [/runtime\/misc\/a\.ts belongs to no layer/])
})

t.test('packages with one door', async t => {
  t.match(edges('runtime/agent/server.ts', 'uWebSockets.js', 'piscina'), [/only net\/http\/uws\.ts/, /only workers\/pool\.ts/])
  t.same(edges('bench/http.bench.ts', 'uWebSockets.js'), [])
})
