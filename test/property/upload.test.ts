import t from 'tap'
import fc from '../support/fc.js'
import { digestOf } from '../../runtime/core/digest.js'
import { readMetaInfo } from '../../runtime/store/sidecars.js'
import { crc32Oracle } from '../../wasm/crc32.oracle.js'
import { must } from '../support/must.js'
import { UploadBench } from '../support/upload-bench.js'

type Step =
  | { readonly type: 'next', readonly bytes: Uint8Array }
  | { readonly type: 'at', readonly offset: number, readonly bytes: Uint8Array }
  | { readonly type: 'truncate', readonly sizeBytes: number }
  | { readonly type: 'restart' }

const bytes = fc.uint8Array({ minLength: 1, maxLength: 60 })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant('next' as const), bytes }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('at' as const), offset: fc.nat(200), bytes }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('truncate' as const), sizeBytes: fc.nat(200) }) },
  { weight: 1, arbitrary: fc.constant({ type: 'restart' as const }) }
)

/** What the file must hold, byte by byte. */
function applied (content: Buffer, step: Step): Buffer {
  switch (step.type) {
    case 'next': return Buffer.concat([content, step.bytes])
    case 'at': {
      const longer = Buffer.alloc(Math.max(content.length, step.offset + step.bytes.length))
      content.copy(longer)
      longer.set(step.bytes, step.offset)
      return longer
    }
    case 'truncate': return content.subarray(0, step.sizeBytes)
    case 'restart': return content
  }
}

t.test('any sequence of chunks, cuts and restarts ends in the content that it spells, with its sums', async t => {
  const bench = await UploadBench.create(t)
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.boolean(), fc.option(fc.nat(300)), async (steps, isWaiting, hint) => {
    let service = bench
    const upload = await service.start(hint ?? undefined)
    let content = Buffer.alloc(0)
    let running: Array<Promise<void>> = []
    for (const step of steps) {
      if (step.type === 'next') running.push(service.append(upload, step.bytes, content.length))
      else if (step.type === 'at') running.push(service.append(upload, step.bytes, step.offset))
      else if (step.type === 'truncate') running.push(service.truncate(upload, step.sizeBytes))
      else {
        await Promise.all(running)
        await service.service.close()
        service = await service.restarted()
      }
      if (isWaiting || running.length === 8) {
        await Promise.all(running)
        running = []
      }
      content = Buffer.from(applied(content, step))
    }
    const digest = digestOf(content)
    const outcome = await service.commit(upload, digest).catch((error: { code: string }) => error.code)
    await Promise.all(running)
    if (outcome !== content.length && outcome !== 'BLOB_EXISTS') throw new Error(`commit: ${outcome}`)
    if (!must(service.cached(digest)).equals(content)) throw new Error('another content')
    const metaInfo = must((await readMetaInfo(service.dirOf(digest))).metaInfo)
    const { pieceBytes } = metaInfo.lengths
    if (pieceBytes !== (content.length < 100 ? 4 : 32)) throw new Error('another piece length')
    const sums = [...metaInfo.lengths.indices()].map(piece => crc32Oracle(content.subarray(piece * pieceBytes, (piece + 1) * pieceBytes)))
    if (sums.join() !== metaInfo.pieceSums.join()) throw new Error('other sums')
    if (bench.slab.leasedCount !== 0) throw new Error('a slot leaked')
  }), { numRuns: 150 })
  t.same(bench.uploadsOnDisk, [])
})
