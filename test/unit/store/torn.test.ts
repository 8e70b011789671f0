import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../runtime/core/clock.js'
import { digestOf, hexOf } from '../../../runtime/core/digest.js'
import { isAppError } from '../../../runtime/core/errors.js'
import { MetaInfo } from '../../../runtime/core/metainfo.js'
import { SIDECARS, sidecarIn } from '../../../runtime/store/paths.js'
import { decodeAccessTime, decodePersist, decodeStatus, readMetaInfo, writeMetaInfo } from '../../../runtime/store/sidecars.js'
import { SimpleStore } from '../../../runtime/store/simple.js'
import { type TagVersion } from '../../../runtime/store/tag-version.js'

/* Our own files are replaced as a whole, but Kraken's are not, and a disk may lose the end of any: every file cut at every byte. */

/** Calls `look` with the file cut to every length that is shorter than it is, and puts it back at the end. */
async function cutEverywhere (path: string, look: (lengthBytes: number) => Promise<void>): Promise<void> {
  const whole = readFileSync(path)
  for (let lengthBytes = 0; lengthBytes < whole.length; lengthBytes++) {
    writeFileSync(path, whole.subarray(0, lengthBytes))
    await look(lengthBytes)
  }
  writeFileSync(path, whole)
}

t.test('a metainfo that was cut counts as none, and says so', async t => {
  const dir = t.testdir({})
  const metaInfo = new MetaInfo(hexOf(digestOf('x')), 10, 4, Uint32Array.of(1, 22, 333), new Uint8Array(96).fill(7))
  await writeMetaInfo(dir, metaInfo)
  await cutEverywhere(sidecarIn(dir, SIDECARS.torrentMeta), async lengthBytes => {
    const found = await readMetaInfo(dir)
    if (found.metaInfo !== undefined || found.damage === undefined) t.fail(`cut to ${lengthBytes} bytes: ${JSON.stringify(found)}`)
  })
  await cutEverywhere(sidecarIn(dir, SIDECARS.pieceSha256), async lengthBytes => {
    const found = await readMetaInfo(dir)
    const isPlain = found.metaInfo?.pieceDigests === undefined && found.metaInfo?.serialize() === metaInfo.serialize()
    if (!isPlain || found.damage === undefined) t.fail(`digests cut to ${lengthBytes} bytes`)
  })
  t.same((await readMetaInfo(dir)).metaInfo?.pieceDigests, metaInfo.pieceDigests)
})

t.test('the small sidecars are read or left alone', async t => {
  for (let lengthBytes = 0; lengthBytes < 5; lengthBytes++) {
    const text = Buffer.from('false').subarray(0, lengthBytes)
    t.equal(decodePersist(text), lengthBytes === 1 ? false : undefined, `"${text.toString()}" keeps its blob unless it says otherwise`)
    t.equal(decodeStatus(new Uint8Array(lengthBytes).fill(1), 5), undefined)
    t.doesNotThrow(() => decodeAccessTime(new Uint8Array(lengthBytes).fill(0xff)))
  }
})

t.test('a tag of which either file was cut is the right one or damaged, and a put repairs it', async t => {
  const cacheDir = t.testdir({})
  const store = new SimpleStore({ cacheDir })
  const version: TagVersion = { digest: digestOf('one'), stamp: { ms: 1_700_000_000_000, count: 3 } }
  await store.advance('team/app:v1', version)
  const dir = join(cacheDir, 'team/app:v1')
  for (const path of [join(dir, 'data'), sidecarIn(dir, SIDECARS.tagVersion)]) {
    await cutEverywhere(path, async lengthBytes => {
      const found = await store.find('team/app:v1').catch((error: unknown) => {
        if (isAppError(error, 'CORRUPT')) return version
        throw error
      })
      if (found?.digest !== version.digest) t.fail(`${path} cut to ${lengthBytes} bytes: ${JSON.stringify(found)}`)
    })
  }
  for (const path of [join(dir, 'data'), sidecarIn(dir, SIDECARS.tagVersion)]) writeFileSync(path, 'sha')
  await t.rejects(store.find('team/app:v1'), { code: 'CORRUPT' })
  const later: TagVersion = { digest: digestOf('two'), stamp: { ms: version.stamp.ms + 1, count: 0 } }
  t.same(await store.advance('team/app:v1', later), later)
  t.same(await store.find('team/app:v1'), later)
})

t.test('an entry without its data is no tag, and what was to replace a file goes at the next start', async t => {
  const cacheDir = t.testdir({})
  const store = new SimpleStore({ cacheDir, clock: { ...systemClock, wall: () => Date.now() + 60_000 } })
  await store.set('a:1', digestOf('one'))
  const unfinished = join(cacheDir, 'a:1', '.unfinished-0')
  writeFileSync(unfinished, 'sha')
  rmSync(join(cacheDir, 'a:1', 'data'))
  mkdirSync(join(cacheDir, 'b:1'))
  t.same(await store.list(), [])
  t.equal(await store.find('a:1'), undefined)
  t.throws(() => readFileSync(unfinished))
})
