import { readFileSync } from 'node:fs'
import t from 'tap'
import { faultsOf, renderApiDocs } from '../../../tools/api-docs.js'

t.test('docs/api.md lists every route, and tests that ask it', async t => {
  const committed = readFileSync(new URL('../../../../docs/api.md', import.meta.url), 'utf8')
  t.same(faultsOf(committed), [], 'run: node dist/tools/api-docs.js')
})

t.test('what makes a page wrong', async t => {
  const page = renderApiDocs()
  t.same(faultsOf(page), [])
  const row = /\| GET \| `\/blobs\/\{digest\}\/locations`.*\n/.exec(page)?.[0] ?? ''
  t.match(faultsOf(page.replace(row, '')), [/^missing or out of date: Origin .*locations/])
  t.match(faultsOf(page.replace(row, row + row.replace('locations', 'elsewhere'))), [/^no such route: Origin .*elsewhere/])
  t.match(faultsOf(page.replace(row, row.replace(/[^|]*\|\n$/, ' `unit/core/json.test.ts` |\n'))), [/^unit\/core\/json\.test\.ts does not ask Origin .*locations/])
})
