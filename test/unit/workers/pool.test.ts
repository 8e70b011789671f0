import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { type Piscina } from 'piscina'
import t from 'tap'
import { Slab } from '../../../runtime/core/slab.js'
import { type UploadCalls, type UploadOptions } from '../../../workers/jobs.js'
import { createHashPool, type ServiceDoor, startService } from '../../../workers/pool.js'
import { must } from '../../support/must.js'

type UploadDoor = ServiceDoor<UploadCalls, object>

function optionsIn (root: string): UploadOptions {
  return {
    uploadDir: join(root, 'upload'),
    cacheDir: join(root, 'cache'),
    slab: Slab.create(1, 1024).memory,
    isPoisoned: true,
    pieceLengths: undefined,
    uploadTtlMs: Infinity,
    reserveBytes: 0,
    isDurable: false,
    hashEngine: 'wasm'
  }
}

/** Kills the thread of a service; the door has no way to do that, so the pool inside it is used. */
async function kill (door: UploadDoor): Promise<void> {
  const { pool } = door as UploadDoor & { readonly pool: Piscina }
  await Promise.all(pool.threads.map(async thread => await thread.terminate()))
}

t.test('a thread that dies fails what is asked of it, and says so once', async t => {
  const door = await startService<UploadCalls, object, UploadOptions>('upload', optionsIn(t.testdir({})))
  t.same(await door.call('cancel', { upload: '' }), { existed: false })
  await kill(door)
  t.match(await door.failed, { code: 'INTERNAL', message: /upload/ })
  await t.rejects(door.call('cancel', { upload: '' }), { code: 'INTERNAL' })
  await door.close()
})

t.test('calls that are under way when the thread dies fail too', async t => {
  const door = await startService<UploadCalls, object, UploadOptions>('upload', optionsIn(t.testdir({})))
  const killed = kill(door)
  const call = door.call('cancel', { upload: '' })
  await t.rejects(call, { code: 'INTERNAL' })
  await killed
  await door.close()
})

t.test('a service that was closed has not failed', async t => {
  const door = await startService<UploadCalls, object, UploadOptions>('upload', optionsIn(t.testdir({})))
  await Promise.all([door.close(), door.close()])
  await t.rejects(door.call('cancel', { upload: '' }), { code: 'UNAVAILABLE' })
  t.equal(await Promise.race([door.failed, Promise.resolve('nothing')]), 'nothing')
})

t.test('a pool works inside another thread', async t => {
  const pool = new URL('../../../workers/pool.js', import.meta.url)
  const worker = new Worker(`
    const { parentPort } = require('node:worker_threads')
    import(${JSON.stringify(pool.href)}).then(async ({ createHashPool }) => {
      const pool = createHashPool({ threads: 1 })
      const sums = await pool.run('sumFile', { path: process.execPath, pieceBytes: 1 << 20 })
      parentPort.postMessage(sums.sizeBytes > 0)
      await pool.close()
    })`, { eval: true })
  const answer = await new Promise(resolve => worker.once('message', resolve))
  const code = await new Promise(resolve => worker.once('exit', resolve))
  t.same([answer, code], [true, 0])
})

t.test('a pool that is closed before its threads have loaded lets them', async t => {
  const pools = [1, 2].map(threads => createHashPool({ threads }))
  await Promise.all(pools.map(async pool => { await pool.close() }))
  await t.rejects(must(pools[0]).run('sumFile', { path: '/nowhere', pieceBytes: 1 }), { code: 'CANCELLED' })
})
