import t from 'tap'
import { type Digest, digestOf, hexOf } from '../../../runtime/core/digest.js'
import { AppError } from '../../../runtime/core/errors.js'
import { noLog } from '../../../runtime/observe/log.js'
import { type CleanableBlobs, Cleanup } from '../../../runtime/origin/cleanup.js'
import { MemoryOrigins } from '../../support/origin-doubles.js'

const HOUR_MS = 3_600_000
const NOW_MS = 1000 * HOUR_MS
const NEVER = new AbortController().signal

interface Entry { readonly sizeBytes: number, readonly modifiedMs: number, readonly readMs?: number, isPersisted?: boolean }

/** A disk of 1000 bytes. */
function setUp (entries: Record<string, Entry>, owners = ['a', 'b']) {
  const held = new Map<Digest, Entry>(Object.entries(entries).map(([name, entry]) => [digestOf(name), entry]))
  const brought: Digest[] = []
  const released: Digest[] = []
  let failure: AppError | undefined
  const blobs: CleanableBlobs = {
    list: async function * () { yield * [...held.keys()] },
    stat: async digest => {
      const entry = held.get(digest)
      return entry === undefined ? undefined : { path: '', ...entry }
    },
    lastAccessMs: async digest => held.get(digest)?.readMs,
    isPersisted: async digest => held.get(digest)?.isPersisted === true,
    release: async digest => {
      const entry = held.get(digest)
      if (entry === undefined) return
      if (entry.isPersisted === true) released.push(digest)
      entry.isPersisted = false
    },
    delete: async digest => {
      if (held.get(digest)?.isPersisted === true) throw new AppError('DENIED', 'file is persisted')
      return held.delete(digest)
    }
  }
  const cleanup = new Cleanup({
    blobs,
    placement: new MemoryOrigins('a', ['a', 'b'], owners),
    bringToOwners: async digest => {
      if (failure !== undefined) throw failure
      brought.push(digest)
    },
    usage: async () => ({ usedBytes: [...held.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0), totalBytes: 1000 }),
    clock: { now: () => { throw new Error('not asked') }, wall: () => NOW_MS },
    log: noLog
  })
  const names = (): string[] => Object.keys(entries).filter(name => held.has(digestOf(name)))
  return { cleanup, names, brought, released, fail: (error: AppError) => { failure = error } }
}

const hex = (name: string): string => hexOf(digestOf(name))
const aged = (hours: number, more: Partial<Entry> = {}): Entry => ({ sizeBytes: 1, modifiedMs: NOW_MS - hours * HOUR_MS, ...more })

t.test('what is older than asked for goes', async t => {
  const { cleanup, names, brought } = setUp({ old: aged(3), just: aged(2), young: aged(1) })
  t.same(await cleanup.deleteOld(2 * HOUR_MS, NEVER), { deleted: [hex('old')], errors: [] })
  t.same(names(), ['just', 'young'])
  t.same(brought, [], 'other owners keep theirs')
  t.same(await cleanup.deleteOld(2 * HOUR_MS, NEVER), { deleted: [], errors: [] })
})

t.test('what is not ours goes once its owners have it', async t => {
  const { cleanup, names, brought } = setUp({ young: aged(1) }, ['b'])
  t.same(await cleanup.deleteOld(2 * HOUR_MS, NEVER), { deleted: [hex('young')], errors: [] })
  t.same(brought, [digestOf('young')])
  t.same(names(), [])
})

t.test('what its owners cannot get stays, and so does what waits to be written back', async t => {
  const { cleanup, names, fail } = setUp({ young: aged(1), old: aged(3, { isPersisted: true }) }, ['b'])
  fail(new AppError('NETWORK', 'b does not answer'))
  t.same(await cleanup.deleteOld(2 * HOUR_MS, NEVER), { deleted: [], errors: [`${hex('young')}: b does not answer`, `${hex('old')}: file is persisted`] })
  t.same(names(), ['young', 'old'])
})

const FULL = {
  read: aged(9, { sizeBytes: 200, readMs: NOW_MS }),
  unread: aged(5, { sizeBytes: 200 }),
  long: aged(1, { sizeBytes: 200, readMs: NOW_MS - 7 * HOUR_MS }),
  waiting: aged(50, { sizeBytes: 200, isPersisted: true })
}

t.test('down to a share of the disk, in the order of the last reads', async t => {
  const { cleanup, names } = setUp(FULL)
  t.equal(await cleanup.deleteDownTo(80, true, NEVER), 80, 'nothing to do')
  t.equal(await cleanup.deleteDownTo(59, true, NEVER), 40)
  t.same(names(), ['read', 'waiting'])
})

t.test('what waits to be written back is spared, or goes last', async t => {
  const spared = setUp(structuredClone(FULL))
  await t.rejects(spared.cleanup.deleteDownTo(10, true, NEVER), { code: 'STORAGE', message: /filled to 20 %, the target was 10 %/ })
  t.same(spared.names(), ['waiting'])
  const all = setUp(structuredClone(FULL))
  t.equal(await all.cleanup.deleteDownTo(10, false, NEVER), 0)
  t.same(all.released, [digestOf('waiting')])
})

t.test('whoever asked goes away', async t => {
  const { cleanup, names } = setUp({ old: aged(3) })
  await t.rejects(cleanup.deleteOld(0, AbortSignal.abort()), { code: 'CANCELLED' })
  await t.rejects(cleanup.deleteDownTo(0, false, AbortSignal.abort()), { code: 'CANCELLED' })
  t.same(names(), ['old'])
})
