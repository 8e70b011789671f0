import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { writeDirImage } from '../support/dir-image.js'
import { makeImage } from '../support/image.js'
import { must } from '../support/must.js'
import { arePresent, isInstalled, run } from '../support/programs.js'
import { startTestSystem, temporaryFolder, type TestAgent } from '../support/system.js'

/* podman and buildah push to the proxy and pull from the agents, with stores of their own. */

const MIB = 1024 * 1024
const PLAIN_HTTP = '--tls-verify=false'

async function main (): Promise<void> {
  if (!arePresent(t, 'podman')) return
  const { proxyPort, agents } = await startTestSystem(t)
  const store = (): string[] => {
    const folder = temporaryFolder(t)
    return ['--root', join(folder, 'root'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs']
  }
  const podmanStore = (): string[] => [...store(), '--events-backend', 'file', '--cgroup-manager', 'cgroupfs']
  const digestOfPull = async (global: readonly string[], { registryPort }: TestAgent, reference: string): Promise<string> => {
    const name = `127.0.0.1:${registryPort}/${reference}`
    await run(t, 'podman', [...global, 'pull', '--quiet', PLAIN_HTTP, name])
    return (await run(t, 'podman', [...global, 'image', 'inspect', '--format', '{{.Digest}}', name])).trim()
  }

  t.test('podman push, and podman pull from every agent', async t => {
    const folder = temporaryFolder(t)
    const global = podmanStore()
    await writeDirImage(join(folder, 'image'), await makeImage({ layerBytes: [6 * MIB, 100_000], seed: 301 }))
    const id = (await run(t, 'podman', [...global, 'pull', '--quiet', `dir:${join(folder, 'image')}`])).trim()
    const digestFile = join(folder, 'digest')
    await run(t, 'podman', [...global, 'push', '--quiet', PLAIN_HTTP, '--digestfile', digestFile, id, `127.0.0.1:${proxyPort}/real/podman:v1`])
    const digest = readFileSync(digestFile, 'utf8').trim()
    for (const agent of agents) {
      const fresh = podmanStore()
      t.equal(await digestOfPull(fresh, agent, 'real/podman:v1'), digest, `${agent.name} by tag`)
      t.equal(await digestOfPull(fresh, agent, `real/podman@${digest}`), digest, `${agent.name} by digest`)
      const pulled = (await run(t, 'podman', [...fresh, 'image', 'inspect', '--format', '{{.Id}}', `127.0.0.1:${agent.registryPort}/real/podman:v1`])).trim()
      t.equal(pulled, id, 'the image that was pushed')
    }
  })

  t.test('an unknown tag is refused', async t => {
    const name = `127.0.0.1:${must(agents[0]).registryPort}/real/podman:none`
    await t.rejects(run(t, 'podman', [...podmanStore(), 'pull', PLAIN_HTTP, name]), /manifest unknown/)
  })

  if (!isInstalled('buildah')) {
    console.log('not run: buildah is not installed')
    t.test('buildah builds and pushes, podman pulls', { skip: 'buildah is not installed' }, () => {})
    return
  }
  t.test('buildah builds and pushes, podman pulls', async t => {
    const folder = temporaryFolder(t)
    const global = store()
    writeFileSync(join(folder, 'hello.txt'), 'hello from a build\n')
    writeFileSync(join(folder, 'Containerfile'), 'FROM scratch\nCOPY hello.txt /hello.txt\nLABEL built=yes\n')
    await run(t, 'buildah', [...global, 'bud', '--isolation', 'chroot', '--quiet', '--tag', 'built', folder])
    const digestFile = join(folder, 'digest')
    const target = `docker://127.0.0.1:${proxyPort}/real/built:v1`
    await run(t, 'buildah', [...global, 'push', '--quiet', PLAIN_HTTP, '--digestfile', digestFile, 'built', target])
    for (const agent of agents) {
      t.equal(await digestOfPull(podmanStore(), agent, 'real/built:v1'), readFileSync(digestFile, 'utf8').trim(), agent.name)
    }
  })
}

await main()
