import t, { type Test } from 'tap'
import { listen } from '../../../net/http/uws.js'
import { noLog } from '../../../runtime/observe/log.js'
import { createRegistry, type RegistryOptions } from '../../../runtime/registry/server.js'
import { type Category, type Outcome, runCases } from '../../conformance/registry/case.js'
import { Subject } from '../../conformance/registry/subject.js'
import { CASES, READ_ONLY, READ_WRITE } from '../../conformance/registry/suite.js'
import { MemoryCluster } from '../../support/registry/memory-cluster.js'

/* The registry alone, over a cluster in memory, does what the OCI distribution specification asks. */

const BODY_BYTES_MAX = 40 * 1024 * 1024

async function serve (t: Test, cluster: MemoryCluster, options: Partial<RegistryOptions> & { readonly isReadOnly?: boolean } = {}): Promise<string> {
  const { isReadOnly = false, ...rest } = options
  const backend = { reads: cluster.reads, writes: isReadOnly ? undefined : cluster.writes }
  const handle = createRegistry(backend, { log: noLog, records: cluster.records, ...rest })
  const server = await listen(handle, { host: '127.0.0.1', port: 0, bodyBytesMax: BODY_BYTES_MAX })
  t.teardown(async () => { await server.close(0) })
  return `http://127.0.0.1:${server.port}`
}

async function outcomes (subject: Subject, categories: readonly Category[]): Promise<Outcome[]> {
  const all: Outcome[] = []
  for await (const outcome of runCases(subject, CASES, categories, 4)) all.push(outcome)
  return all
}

t.test('read and write', async t => {
  const cluster = new MemoryCluster()
  for (const { title, reason } of await outcomes(new Subject({ readUrl: await serve(t, cluster) }), READ_WRITE)) t.equal(reason, undefined, title)
  t.equal(cluster.openReaders, 0, 'nothing is left open')
})

t.test('read-only', async t => {
  const cluster = new MemoryCluster()
  const [writeUrl, readUrl] = [await serve(t, cluster), await serve(t, cluster, { isReadOnly: true, membership: 'ignored' })]
  for (const { title, reason } of await outcomes(new Subject({ readUrl, writeUrl }), READ_ONLY)) t.equal(reason, undefined, title)
})

t.test('with content that belongs to its repositories alone', async t => {
  const subject = new Subject({ readUrl: await serve(t, new MemoryCluster(), { membership: 'strict' }) })
  const missed = (await outcomes(subject, READ_WRITE)).filter(({ result }) => result !== 'passed')
  t.same(missed.map(({ title, result }) => `${result}: ${title}`), ['unsupported: a blob is mounted from wherever it is'])
})

t.test('with deletes switched off', async t => {
  const subject = new Subject({ readUrl: await serve(t, new MemoryCluster(), { canDelete: false }) })
  t.same(new Set((await outcomes(subject, ['management'])).map(({ result }) => result)), new Set(['unsupported']))
})

t.test('with build-indexes that keep no records', async t => {
  const cluster = new MemoryCluster()
  cluster.records.isKraken = true
  const failed = (await outcomes(new Subject({ readUrl: await serve(t, cluster) }), READ_WRITE)).filter(({ result }) => result !== 'passed')
  for (const { title } of failed) t.match(title, /delete|sha512|algorithm of a digest|empty blob needs no body|given tags/, `not there: ${title}`)
})
