import { type Test } from 'tap'
import { type BackendClient, type ObjectContent, readObject } from '../../runtime/backend/backend.js'
import { GuardedClient } from '../../runtime/backend/guarded-client.js'
import { hexOf } from '../../runtime/core/digest.js'
import { systemClock } from '../../runtime/core/clock.js'
import { noLog } from '../../runtime/observe/log.js'
import { must } from './must.js'
import { randomBlob } from './random-blob.js'

/*
 * What every backend that stores has to do, in one suite. A test file per backend says how its client is made, for blobs
 * and for tags, both on the same empty storage.
 */

export interface BackendUnderTest {
  /** Names are hex of digests. */
  readonly blobs: BackendClient
  /** Names are `repository:tag`; the way of naming is `docker_tag`. */
  readonly tags: BackendClient
  /** Larger than anything that is sent in one piece. */
  readonly largeBytes: number
}

const NAMESPACE = 'library/app'

/** Content that hands out views into one buffer which it overwrites, as real sources do. */
export function contentOf (bytes: Uint8Array): ObjectContent {
  return {
    sizeBytes: bytes.length,
    read: async function * (offset, lengthBytes) {
      const lent = Buffer.alloc(64 * 1024)
      for (let at = offset; at < offset + lengthBytes; at += lent.length) {
        const chunk = bytes.subarray(at, Math.min(at + lent.length, offset + lengthBytes))
        lent.set(chunk)
        yield lent.subarray(0, chunk.length)
      }
    }
  }
}

/** The client as the program has it, around the bare one. */
export function guarded (client: BackendClient): BackendClient {
  return new GuardedClient(client, { bandwidth: undefined, clock: systemClock, sleep: async () => {}, log: noLog })
}

export async function download (client: BackendClient, name: string, offset = 0): Promise<Buffer | undefined> {
  const stream = await client.download(NAMESPACE, name, { offset })
  return stream === undefined ? undefined : await readObject(stream, 2 ** 30)
}

/** All pages, in order of names. */
export async function listAll (client: BackendClient, prefix: string, limit?: number): Promise<string[]> {
  const names: string[] = []
  let token: string | undefined
  for (let pages = 0; pages < 1000; pages++) {
    const page = await client.list(prefix, { token, ...limit === undefined ? {} : { limit } })
    names.push(...page.names)
    token = page.next
    if (token === undefined) return names.sort()
  }
  throw new Error('the list does not end')
}

export async function backendSuite (t: Test, { blobs: bareBlobs, tags: bareTags, largeBytes }: BackendUnderTest): Promise<void> {
  const blobs = guarded(bareBlobs)
  const tags = guarded(bareTags)
  t.teardown(async () => { await Promise.all([blobs.close(), tags.close()]) })

  await t.test('what is not there is told apart from failure', async t => {
    const name = hexOf(randomBlob(10, 'absent').digest)
    t.equal(await blobs.stat(NAMESPACE, name), undefined)
    t.equal(await blobs.download(NAMESPACE, name), undefined)
    t.equal(await tags.stat('library/app:none', 'library/app:none'), undefined)
    t.same(await blobs.list(''), { names: [], next: undefined }, 'an empty storage has an empty list')
    t.same((await tags.list('library/app/_manifests/tags')).names, [])
    await blobs.checkReadiness()
    await tags.checkReadiness()
  })

  for (const sizeBytes of [0, 1, 65_536, 1_000_003, largeBytes]) {
    await t.test(`${sizeBytes} bytes`, async t => {
      const { digest, bytes } = randomBlob(sizeBytes, `suite ${sizeBytes}`)
      const name = hexOf(digest)
      await blobs.upload(NAMESPACE, name, contentOf(bytes))
      t.same(await blobs.stat(NAMESPACE, name), { sizeBytes })
      t.ok(must(await download(blobs, name)).equals(bytes), 'comes back as it was')
      if (blobs.canResume && sizeBytes > 1) {
        const offset = Math.floor(sizeBytes / 3)
        t.ok(must(await download(blobs, name, offset)).equals(bytes.subarray(offset)), `from byte ${offset}`)
      }
    })
  }

  await t.test('the last upload wins', async t => {
    const name = hexOf(randomBlob(1, 'replaced').digest)
    await blobs.upload(NAMESPACE, name, contentOf(Buffer.from('first, and longer')))
    await blobs.upload(NAMESPACE, name, contentOf(Buffer.from('second')))
    t.equal(String(await download(blobs, name)), 'second')
    t.same(await blobs.stat(NAMESPACE, name), { sizeBytes: 6 })
  })

  await t.test('a download may be left early', async t => {
    const name = hexOf(randomBlob(largeBytes, `suite ${largeBytes}`).digest)
    const chunks = must(await blobs.download(NAMESPACE, name)).chunks()[Symbol.asyncIterator]()
    t.notOk((await chunks.next()).done)
    await chunks.return?.()
    t.same(await blobs.stat(NAMESPACE, name), { sizeBytes: largeBytes }, 'and the next request works')
  })

  await t.test('a source that fails midway leaves nothing', async t => {
    const { digest } = randomBlob(200_000, 'broken')
    const name = hexOf(digest)
    const failing: ObjectContent = {
      sizeBytes: 200_000,
      read: async function * () {
        yield Buffer.alloc(100_000)
        throw new Error('the disk is gone')
      }
    }
    await t.rejects(blobs.upload(NAMESPACE, name, failing))
    t.equal(await blobs.stat(NAMESPACE, name), undefined)
  })

  await t.test('an aborted upload leaves nothing', async t => {
    const { digest, bytes } = randomBlob(300_000, 'aborted')
    const name = hexOf(digest)
    const abort = new AbortController()
    const content: ObjectContent = {
      sizeBytes: bytes.length,
      read: async function * () {
        yield bytes.subarray(0, 100_000)
        abort.abort()
        yield bytes.subarray(100_000)
      }
    }
    await t.rejects(blobs.upload(NAMESPACE, name, content, { signal: abort.signal }), { code: 'CANCELLED' })
    t.equal(await blobs.stat(NAMESPACE, name), undefined)
  })

  await t.test('names that would lead elsewhere are refused', async t => {
    for (const name of ['', '..', '../x', 'a/../b', 'a//b', '/a', 'a\0b', 'x'.repeat(2000)]) {
      await t.rejects(blobs.stat(NAMESPACE, name), { code: 'NAME_INVALID' }, JSON.stringify(name.slice(0, 10)))
      await t.rejects(tags.upload(NAMESPACE, `${name}:tag:tag`, contentOf(Buffer.from('x'))), { code: 'NAME_INVALID' })
    }
    await t.rejects(tags.stat(NAMESPACE, 'no-tag'), { code: 'NAME_INVALID' })
  })

  await t.test('tags and their lists', async t => {
    const names = ['library/app:1.0', 'library/app:2.0', 'library/app/deep:1.0', 'library/application:1.0', 'other:latest']
    for (const name of names) await tags.upload(name, name, contentOf(Buffer.from(`sha256:${name}`)))
    for (const name of names) t.equal(String(await download(tags, name)), `sha256:${name}`)
    t.same(await listAll(tags, ''), [...names].sort())
    t.same(await listAll(tags, 'library/app/_manifests/tags'), ['library/app:1.0', 'library/app:2.0'])
    t.same(await listAll(tags, 'library'), names.slice(0, 4).sort())
    t.same(await listAll(tags, '', 2), [...names].sort(), 'in pages, where there are pages')
    t.same(await listAll(tags, 'no/such'), [])
  })
}
