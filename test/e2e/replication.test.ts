import t from 'tap'
import { forEachLimited } from '../../runtime/core/limited.js'
import { call } from '../support/http-call.js'
import { type Image, makeImage } from '../support/image.js'
import { startLocalCluster } from '../support/local-cluster.js'
import { until } from '../support/manual-time.js'
import { pullImage, pushImage } from '../support/registry.js'
import { Relay } from '../support/relay.js'

const IMAGES = 100
const CUTS = 5
/** Connections that find the link cut before it is mended. */
const REFUSALS = 4
const PIECE_BYTES = 65_536
const AT_ONCE = 8
const LAYERED = 5
/** How a replication ends; the second if the first was not heard of because of a cut. */
const ENDS = ['tag copied to another cluster', 'tag is in the other cluster already']

t.setTimeout(240_000)

/** Cuts every connection between two clusters each time that so many bytes have passed, until it was tried often enough. */
class Link {
  cuts = 0
  #refused = 0
  readonly relays: Relay[] = []

  constructor (readonly bytesBetween: number) {}

  readonly onForward = (forwardedBytes: number): void => {
    if (this.cuts >= CUTS || forwardedBytes < (this.cuts + 1) * this.bytesBetween) return
    this.cuts++
    this.#refused = 0
    for (const relay of this.relays) relay.cut()
  }

  readonly onRefuse = (): void => {
    if (++this.#refused < REFUSALS) return
    for (const relay of this.relays) relay.mend()
  }
}

class Countdown {
  #zero: () => void = () => {}
  readonly done = new Promise<void>(resolve => { this.#zero = resolve })

  constructor (public left: number) {}

  count (): void { if (--this.left === 0) this.#zero() }
}

t.test('a hundred images of two platforms get to another cluster although the link is cut five times', async t => {
  const images = await Promise.all(Array.from({ length: IMAGES }, async (_, i) =>
    // Manifests and configurations are what there are many of; some have a layer too.
    await makeImage({ layerBytes: i % LAYERED === 0 ? [3_000] : [], platforms: ['linux/amd64', 'linux/arm64'], seed: i })))
  const sizeBytes = images.flatMap(({ blobs }) => blobs).reduce((sum, blob) => sum + blob.sizeBytes, 0)
  const link = new Link(sizeBytes / (CUTS + 1))

  const there = await startLocalCluster(t, { pieceBytes: PIECE_BYTES })
  const { onForward, onRefuse } = link
  const named: Array<[string, string]> = []
  const origins = await Relay.start(there.origin, { onForward, onRefuse, translations: named })
  t.teardown(async () => { await origins.close() })
  const index = await Relay.start(there.buildIndex, { onRefuse, translations: named })
  t.teardown(async () => { await index.close() })
  // That cluster names its origin by an address that only it can reach.
  named.push([`127.0.0.1:${there.origin}`, origins.address])
  link.relays.push(origins, index)
  const copies = new Countdown(IMAGES)
  const here = await startLocalCluster(t, {
    pieceBytes: PIECE_BYTES,
    remotes: [{ address: index.address, patterns: [/^copied\//] }],
    onIndexLog: event => { if (ENDS.includes(event)) copies.count() }
  })

  await forEachLimited(images.entries(), AT_ONCE, async ([i, image]) => { await pushImage(here.proxy[0], `copied/app${i}`, 'v1', image) })
  const [image] = images as [Image]
  await pushImage(here.proxy[0], 'kept/app', 'v1', image)
  await copies.done
  await until(async () => await taskCount(here.buildIndex) === 0)
  t.equal(link.cuts, CUTS, 'the link was cut while images were copied')

  t.same(await namesAt(there.proxy[0]), (await namesAt(here.proxy[0])).filter(name => name !== 'kept/app'), 'both sides list the same')
  t.equal((await namesAt(there.proxy[0])).length, IMAGES)
  for (const { proxy: [port], agentRegistry } of [here, there]) {
    await forEachLimited(images.entries(), AT_ONCE, async ([i, image]) => { await pullImage(port, `copied/app${i}`, 'v1', image) })
    await pullImage(agentRegistry, 'copied/app7', 'v1', images[7] ?? image)
  }
})

/** Replications that are on record, parked ones included. */
async function taskCount (buildIndex: number): Promise<number> {
  const { body } = await call(buildIndex, 'GET', '/x/tasks?kind=tag-replication')
  const { tasks }: { tasks: unknown[] } = JSON.parse(body.toString())
  return tasks.length
}

async function namesAt (proxy: number): Promise<string[]> {
  const { body } = await call(proxy, 'GET', '/v2/_catalog?n=1000')
  const { repositories }: { repositories: string[] } = JSON.parse(body.toString())
  return repositories
}
