import { readFileSync } from 'node:fs'
import t from 'tap'
import { renderConfigDocs } from '../../../tools/config-docs.js'

t.test('docs/configuration.md is what the schema says', async t => {
  const committed = readFileSync(new URL('../../../../docs/configuration.md', import.meta.url), 'utf8')
  t.equal(committed, renderConfigDocs(), 'run: node dist/tools/config-docs.js')
})
