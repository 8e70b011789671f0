import { createHash } from 'node:crypto'
import t from 'tap'
import fc from '../../support/fc.js'
import { loadCrc32 } from '../../../wasm/crc32.js'
import { crc32Oracle } from '../../../wasm/crc32.oracle.js'
import { loadSha256 } from '../../../wasm/sha256.js'

const ENGINES = ['auto', 'wasm'] as const

t.test('CRC-32 of the check string', async t => {
  const bytes = Buffer.from('123456789')
  t.equal(crc32Oracle(bytes), 0xcbf43926)
  for (const engine of ENGINES) t.equal((await loadCrc32(engine)).create().update(bytes).digest(), 0xcbf43926, engine)
})

t.test('sums of nothing', async t => {
  for (const engine of ENGINES) {
    t.equal((await loadCrc32(engine)).create().digest(), 0, engine)
    t.same(Buffer.from((await loadSha256(engine)).create().digest()), createHash('sha256').digest(), engine)
  }
})

t.test('auto is native where the platform has it', async t => {
  t.equal((await loadSha256('auto')).engine, 'native')
  t.equal((await loadCrc32('wasm')).engine, 'wasm')
})

t.test('every engine agrees with the oracle, in any cut, with other sums running beside it, and may go on after a digest', async () => {
  for (const engine of ENGINES) {
    const crcKernel = await loadCrc32(engine)
    const shaKernel = await loadSha256(engine)
    fc.assert(fc.property(fc.array(fc.tuple(fc.nat(2), fc.uint8Array({ maxLength: 200 })), { maxLength: 20 }), parts => {
      const crcs = [0, 1, 2].map(() => crcKernel.create())
      const shas = [0, 1, 2].map(() => shaKernel.create())
      const seen: Uint8Array[] = [0, 1, 2].map(() => new Uint8Array(0))
      for (const [stream, part] of parts) {
        const all = Buffer.concat([seen[stream] ?? new Uint8Array(0), part])
        seen[stream] = all
        const crc = crcs[stream]?.update(part).digest()
        const sha = shas[stream]?.update(part).digest()
        if (crc !== crc32Oracle(all)) throw new Error(`crc ${crc}`)
        if (Buffer.compare(sha ?? new Uint8Array(0), createHash('sha256').update(all).digest()) !== 0) throw new Error('sha')
      }
    }))
  }
})

t.test('bytes of shared memory are taken as they are', async t => {
  const shared = new Uint8Array(new SharedArrayBuffer(1000), 100, 300).fill(7)
  const copy = new Uint8Array(300).fill(7)
  for (const engine of ENGINES) {
    t.equal((await loadCrc32(engine)).create().update(shared).digest(), crc32Oracle(copy), engine)
    t.same(Buffer.from((await loadSha256(engine)).create().update(shared).digest()), createHash('sha256').update(copy).digest(), engine)
  }
})
