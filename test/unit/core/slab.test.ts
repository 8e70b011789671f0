import t from 'tap'
import { type Filling, Slab, type SlotId } from '../../../runtime/core/slab.js'
import { must } from '../../support/must.js'

function lease (slab: Slab): Filling { return must(slab.lease(), 'a free slot') }

t.test('the lowest free slot is leased, until none is left', async t => {
  const slab = Slab.create(3, 8)
  const leases = [lease(slab), lease(slab), lease(slab)]
  t.same(leases.map(({ slot }) => slot), [0, 1, 2])
  t.equal(slab.lease(), undefined)
  slab.release(must(leases[1]))
  t.equal(lease(slab).slot, 1)
  t.equal(slab.leasedCount, 3)
})

t.test('slots do not overlap', async t => {
  const slab = Slab.create(2, 4)
  const [one, other] = [lease(slab), lease(slab)]
  one.bytes.fill(1)
  other.bytes.fill(2)
  t.same([...one.bytes], [1, 1, 1, 1])
  t.same([...new Uint8Array(slab.memory.data)], [1, 1, 1, 1, 2, 2, 2, 2])
})

t.test('a sealed slot is as long as its content and is free after its last reader', async t => {
  const slab = Slab.create(1, 8)
  const filling = lease(slab)
  filling.bytes.set([1, 2, 3])
  const sealed = slab.seal(filling, 3)
  t.same([...sealed.bytes], [1, 2, 3])
  slab.retain(sealed)
  slab.release(sealed)
  t.equal(slab.leasedCount, 1, 'one reader is left')
  slab.release(sealed)
  t.equal(slab.leasedCount, 0)
})

t.test('a spent lease can do nothing', async t => {
  const slab = Slab.create(1, 8)
  const filling = lease(slab)
  const sealed = slab.seal(filling, 8)
  t.throws(() => slab.seal(filling, 8), { code: 'INTERNAL' })
  t.throws(() => slab.release(filling), { code: 'INTERNAL' })
  slab.release(sealed)
  t.throws(() => slab.release(sealed), { code: 'INTERNAL' })
  t.throws(() => slab.retain(sealed), { code: 'INTERNAL' })
})

t.test('a lease from before does not touch the slot of its successor', async t => {
  const slab = Slab.create(1, 8)
  const before = lease(slab)
  slab.release(before)
  const after = lease(slab)
  t.equal(after.slot, before.slot)
  t.equal(after.generation, before.generation + 1)
  t.throws(() => slab.release(before), { code: 'INTERNAL' })
  t.throws(() => slab.seal(before, 1), { code: 'INTERNAL' })
  slab.release(slab.seal(after, 1))
  t.equal(slab.leasedCount, 0)
})

t.test('poison overwrites what is released, and only then', async t => {
  const slab = Slab.create(2, 4, { poison: true })
  const dropped = lease(slab)
  dropped.bytes.fill(7)
  slab.release(dropped)
  t.same([...dropped.bytes], [0xdb, 0xdb, 0xdb, 0xdb])

  const filling = lease(slab)
  filling.bytes.fill(7)
  const sealed = slab.seal(filling, 4)
  slab.retain(sealed)
  slab.release(sealed)
  t.throws(() => slab.release(filling), { code: 'INTERNAL' })
  t.same([...sealed.bytes], [7, 7, 7, 7], 'a reader is left')
  slab.release(sealed)
  t.same([...sealed.bytes], [0xdb, 0xdb, 0xdb, 0xdb])
})

t.test('many slots are leased together or not at all', async t => {
  const slab = Slab.create(4, 4)
  t.same(slab.leaseMany(3)?.map(({ slot }) => slot), [0, 1, 2])
  t.equal(slab.leaseMany(2), undefined)
  t.equal(slab.leasedCount, 3, 'what a failed attempt took is given back')
  t.same(slab.leaseMany(0), [])
  t.equal(slab.leaseMany(1)?.length, 1)
})

t.test('no view reaches beyond its slot', async t => {
  const slab = Slab.create(2, 8)
  const filling = lease(slab)
  for (const lengthBytes of [-1, 9, NaN]) {
    t.throws(() => slab.seal(filling, lengthBytes), { code: 'INTERNAL' })
    t.throws(() => slab.bytesOf(filling.slot, lengthBytes), { code: 'INTERNAL' })
  }
  t.equal(slab.seal(filling, 0).bytes.length, 0)
})

t.test('the same memory seen from elsewhere has the same slots', async t => {
  const here = Slab.create(2, 4)
  const there = new Slab(here.memory)
  const filling = lease(here)
  filling.bytes.fill(5)
  t.same([...there.bytesOf(filling.slot, 4)], [5, 5, 5, 5])
  t.equal(there.leasedCount, 1)
  t.equal(lease(there).slot, 1 as SlotId)
  t.equal(here.lease(), undefined)
  there.release(here.seal(filling, 4))
  t.equal(here.leasedCount, 1)
})

t.test('touching leaves every byte zero', async t => {
  const slab = Slab.create(1, 4)
  slab.touch()
  t.same([...new Uint8Array(slab.memory.data)], [0, 0, 0, 0])
})
