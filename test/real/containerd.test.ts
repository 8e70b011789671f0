import t from 'tap'
import { Containerd } from '../support/containerd.js'
import { makeImage } from '../support/image.js'
import { call } from '../support/http-call.js'
import { must } from '../support/must.js'
import { canRunAsRoot } from '../support/programs.js'
import { pushImage } from '../support/registry.js'
import { startAgentBeside, startTestSystem } from '../support/system.js'

/* containerd pulls from the agents: by its own client, as a mirror of other registries, and as kubelet has it done. */

const MIB = 1024 * 1024

async function main (): Promise<void> {
  if (!canRunAsRoot(t, 'containerd', 'ctr')) return
  const system = await startTestSystem(t)
  const { proxyPort, agents } = system
  const daemon = await Containerd.start(t)
  const agent = must(agents[0])
  const registry = `127.0.0.1:${agent.registryPort}`
  const image = await makeImage({ layerBytes: [6 * MIB, 100_000], seed: 501 })
  const index = await makeImage({ layerBytes: [MIB, 10], platforms: ['linux/amd64', 'linux/arm64/v8'], seed: 502 })
  await pushImage(proxyPort, 'real/app', 'v1', image)
  await pushImage(proxyPort, 'real/index', 'v1', index)

  t.test('by tag and by digest, over plain HTTP', async t => {
    for (const { registryPort, name } of agents) {
      for (const [reference, { top }] of [['real/app:v1', image], [`real/app@${image.top.digest}`, image], ['real/index:v1', index]] as const) {
        const full = `127.0.0.1:${registryPort}/${reference}`
        await daemon.ctr('images', 'pull', '--plain-http', '--snapshotter', 'native', full)
        t.equal((await daemon.images()).get(full), top.digest, `${name}: ${reference}`)
      }
    }
    await daemon.ctr('images', 'check', '--snapshotter', 'native')
  })

  t.test('through an image of all platforms', async t => {
    const full = `127.0.0.1:${must(agents[1]).registryPort}/real/index@${index.top.digest}`
    await daemon.ctr('images', 'pull', '--plain-http', '--all-platforms', '--snapshotter', 'native', full)
    const blobs = await daemon.ctr('content', 'list', '--quiet')
    for (const { digest } of [...index.manifests, ...index.blobs]) t.ok(blobs.includes(digest), digest)
  })

  t.test('a mirror of whatever registry it is asked for', async t => {
    daemon.mirror(registry)
    for (const name of ['images.example/real/app:v1', `127.0.0.1:1/real/app@${image.top.digest}`]) {
      await daemon.ctr('images', 'pull', '--hosts-dir', daemon.hostsDir, '--snapshotter', 'native', name)
      t.equal((await daemon.images()).get(name), image.top.digest, name)
    }
  })

  t.test('a mirror that does not have it says so, and the registry itself is asked', async t => {
    daemon.mirror(registry)
    // Nobody listens on port 1.
    await t.rejects(daemon.ctr('images', 'pull', '--hosts-dir', daemon.hostsDir, '--snapshotter', 'native', '127.0.0.1:1/real/none:v1'), /connection refused/)
  })

  t.test('as kubelet has it done', async t => {
    daemon.mirror(registry)
    const id = await daemon.criPull('images.example/real/index:v1')
    t.match(id, /^sha256:/)
    t.equal((await daemon.images('k8s.io')).get('images.example/real/index:v1'), index.top.digest)
    t.equal(await daemon.criPull(`images.example/real/index@${index.top.digest}`), id)
    await t.rejects(daemon.criPull('127.0.0.1:1/real/none:v1'), /connection refused|not found/)
  })

  t.test('a push to the proxy', async t => {
    const target = `127.0.0.1:${proxyPort}/real/pushed:v1`
    await daemon.ctr('images', 'tag', `${registry}/real/app:v1`, target)
    await daemon.ctr('images', 'push', '--plain-http', target)
    const again = `${registry}/real/pushed:v1`
    await daemon.ctr('images', 'pull', '--plain-http', '--snapshotter', 'native', again)
    t.equal((await daemon.images()).get(again), image.top.digest)
  })

  t.test('a push to an agent is refused at once', async t => {
    const target = `${registry}/real/refused:v1`
    await daemon.ctr('images', 'tag', `${registry}/real/app:v1`, target)
    await t.rejects(daemon.ctr('images', 'push', '--plain-http', target), /405|read-only/)
  })

  // The one that works on every file system; `ctr` takes it from its environment, and so from the agent's.
  process.env['CONTAINERD_SNAPSHOTTER'] = 'native'
  t.test('an agent has it preload an image', async t => {
    const beside = await startAgentBeside(t, system, { blocks: { container_runtime: { containerd: { address: daemon.socket } } } })
    const preload = async (tag: string, namespace: string): Promise<[number, string]> => {
      const { status, body } = await call(beside.serverPort, 'GET', `/preload/tags/${encodeURIComponent(tag)}?runtime=containerd&namespace=${namespace}`)
      return [status, body.toString()]
    }
    t.same(await preload('real/index:v1', 'preloaded'), [200, ''])
    t.equal((await daemon.images('preloaded')).get(`127.0.0.1:${beside.registryPort}/real/index:v1`), index.top.digest)
    t.match(await preload('real/none:v1', 'preloaded'), [500, /^containerd pull: .*not found/])
  })
}

await main()
