import { parseArgs } from 'node:util'
import { messageOf } from '../../../runtime/core/errors.js'
import { type Category, runCases } from './case.js'
import { Subject } from './subject.js'
import { CASES, READ_ONLY, READ_WRITE } from './suite.js'

/*
 * Asks any registry whether it does what the OCI distribution specification says, and leaves what it pushed behind in
 * repositories `conformance/<random>/...`.
 *
 *   npm run conformance -- --url http://127.0.0.1:15000 [--push-url URL] [--category pull,push,discovery,management]
 *
 * With --push-url the registry at --url is taken as read-only: content is pushed to the other one. Ends with 1 if a case
 * fails; what the specification lets a registry leave out is counted as unsupported.
 */

const MARKS = { passed: 'ok', failed: 'FAILED', unsupported: 'unsupported' }

async function main (): Promise<number> {
  const { values } = parseArgs({ options: { url: { type: 'string' }, 'push-url': { type: 'string' }, category: { type: 'string' } } })
  if (values.url === undefined) throw new Error('say which registry: --url http://127.0.0.1:15000')
  const writeUrl = values['push-url']
  const wanted = values.category?.split(',')
  const all: readonly Category[] = writeUrl === undefined ? READ_WRITE : READ_ONLY
  const categories = wanted === undefined ? all : all.filter(category => wanted.includes(category))
  if (categories.length === 0) throw new Error(`no category is selected; there are ${all.join(', ')}`)
  const counts = { passed: 0, failed: 0, unsupported: 0 }
  for await (const { category, title, result, reason } of runCases(new Subject({ readUrl: values.url, writeUrl }), CASES, categories)) {
    counts[result]++
    console.log(`${MARKS[result].padEnd(12)}${category}: ${title}${reason === undefined ? '' : `\n            ${reason}`}`)
  }
  console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.unsupported} unsupported`)
  return counts.failed === 0 ? 0 : 1
}

process.exitCode = await main().catch((error: unknown) => {
  console.error(messageOf(error))
  return 2
})
