import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Dockerd } from '../support/dockerd.js'
import { call } from '../support/http-call.js'
import { makeImage } from '../support/image.js'
import { must } from '../support/must.js'
import { canRunAsRoot } from '../support/programs.js'
import { pushImage } from '../support/registry.js'
import { startAgentBeside, startTestSystem, temporaryFolder } from '../support/system.js'

/* A Docker daemon pulls from the agents, of which one is its mirror, and pushes to the proxy. */

const MIB = 1024 * 1024

async function main (): Promise<void> {
  if (!canRunAsRoot(t, 'dockerd', 'docker')) return
  const system = await startTestSystem(t)
  const { proxyPort, agents } = system
  const [mirror, agent] = [must(agents[0]), must(agents[1])]
  const docker = await Dockerd.start(t, `127.0.0.1:${mirror.registryPort}`)
  const image = await makeImage({ layerBytes: [6 * MIB, 100_000], format: 'docker', seed: 601 })
  const index = await makeImage({ layerBytes: [MIB], platforms: ['linux/amd64', 'linux/arm64/v8'], seed: 602 })

  t.test('pulls by tag and by digest', async t => {
    for (const [name, { top }] of Object.entries({ image, index })) {
      await pushImage(proxyPort, `real/${name}`, 'v1', name === 'image' ? image : index)
      for (const { registryPort } of agents) {
        for (const reference of [':v1', `@${top.digest}`]) {
          const full = `127.0.0.1:${registryPort}/real/${name}`
          await docker.run('pull', full + reference)
          t.match(await docker.digestsOf(full + reference), `${full}@${top.digest}`)
        }
      }
    }
  })

  t.test('the mirror is asked first', async t => {
    await pushImage(proxyPort, 'library/mirrored', 'v1', image)
    await docker.run('pull', 'mirrored:v1')
    t.match(await docker.digestsOf('mirrored:v1'), `mirrored@${image.top.digest}`)
  })

  t.test('a build, pushed to the proxy and pulled from an agent', async t => {
    const folder = temporaryFolder(t)
    writeFileSync(join(folder, 'hello.txt'), 'hello from a build\n')
    writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\nCOPY hello.txt /hello.txt\nLABEL built=yes\n')
    const pushed = `127.0.0.1:${proxyPort}/real/built:v1`
    await docker.run('build', '--quiet', '--tag', pushed, folder)
    const id = await docker.idOf(pushed)
    await docker.run('push', '--quiet', pushed)
    await docker.run('image', 'rm', pushed)
    const pulled = `127.0.0.1:${agent.registryPort}/real/built:v1`
    await docker.run('pull', pulled)
    t.equal(await docker.idOf(pulled), id)
  })

  t.test('a push to an agent is refused with a reason', async t => {
    const target = `127.0.0.1:${agent.registryPort}/real/refused:v1`
    await docker.run('tag', `127.0.0.1:${agent.registryPort}/real/image:v1`, target)
    const { code, text } = await docker.try('push', target)
    t.not(code, 0)
    t.match(text, /this registry is read-only/)
  })

  t.test('what is not there', async t => {
    const { code, text } = await docker.try('pull', `127.0.0.1:${agent.registryPort}/real/none:v1`)
    t.not(code, 0)
    t.match(text, /manifest unknown|not found/)
  })

  t.test('an agent has it preload an image', async t => {
    const beside = await startAgentBeside(t, system, { blocks: { container_runtime: { docker: { docker_host: docker.host, docker_version: '1.41' } } } })
    const preload = async (tag: string): Promise<[number, string]> => {
      const { status, body } = await call(beside.serverPort, 'GET', `/preload/tags/${encodeURIComponent(tag)}`)
      return [status, body.toString()]
    }
    t.same(await preload('real/index:v1'), [200, ''])
    t.match(await docker.digestsOf(`127.0.0.1:${beside.registryPort}/real/index:v1`), index.top.digest)
    t.match(await preload('real/none:v1'), [500, /^docker pull: .*manifest/])
  })
}

await main()
