import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { makeImage } from '../support/image.js'
import { must } from '../support/must.js'
import { isInstalled, run } from '../support/programs.js'
import { pullImage, pushImage, resolveTag } from '../support/registry.js'
import { startTestSystem, temporaryFolder, type TestSystem } from '../support/system.js'

/* crane, oras and regctl push to the proxy, pull from an agent, find referrers and delete. Those that are absent are named. */

interface Place {
  readonly proxy: string
  readonly agent: string
  readonly system: TestSystem
}

/** Runs a program in a home of its own, where it finds no configuration and no credentials. */
function program (t: Test, name: string): (...args: readonly string[]) => Promise<string> {
  const home = temporaryFolder(t)
  return async (...args) => await run(t, name, args, { PATH: process.env['PATH'], HOME: home, TMPDIR: home, DOCKER_CONFIG: home })
}

async function crane (t: Test, { proxy, agent, system }: Place): Promise<void> {
  const crane = program(t, 'crane')
  const image = await makeImage({ layerBytes: [300_000, 10], platforms: ['linux/amd64', 'linux/arm64'], seed: 801 })
  await pushImage(system.proxyPort, 'crane/app', 'v1', image)
  await crane('copy', `${proxy}/crane/app:v1`, `${proxy}/crane/copied:v1`)
  await t.resolves(pullImage(must(system.agents[0]).registryPort, 'crane/copied', 'v1', image), 'mounted into another repository')
  await crane('validate', '--remote', `${agent}/crane/copied:v1`)
  t.equal((await crane('digest', `${agent}/crane/app:v1`)).trim(), image.top.digest)
  await crane('tag', `${proxy}/crane/app:v1`, 'v2')
  t.same((await crane('ls', `${agent}/crane/app`)).trim().split('\n'), ['v1', 'v2'])
  t.match(await crane('catalog', agent), /crane\/app\ncrane\/copied/)
  const folder = temporaryFolder(t)
  await crane('pull', '--format', 'oci', `${agent}/crane/app:v1`, join(folder, 'layout'))
  await crane('push', '--index', join(folder, 'layout'), `${proxy}/crane/back:v1`)
  await crane('delete', `${proxy}/crane/app@${image.top.digest}`)
  for (const tag of ['v1', 'v2']) t.equal(await resolveTag(must(system.agents[0]).registryPort, 'crane/app', tag), undefined, 'deleted with its manifest')
  await t.resolves(crane('manifest', `${agent}/crane/copied:v1`), 'elsewhere it stays')
  await t.rejects(crane('copy', `${proxy}/crane/copied:v1`, `${agent}/crane/copied:v2`), /read-only|UNSUPPORTED/)
}

async function oras (t: Test, { proxy, agent }: Place): Promise<void> {
  const oras = program(t, 'oras')
  const folder = temporaryFolder(t)
  const [file, note] = [join(folder, 'file.txt'), join(folder, 'note.txt')]
  writeFileSync(file, 'what is distributed\n')
  writeFileSync(note, 'what is said about it\n')
  const plain = ['--plain-http', '--disable-path-validation']
  await oras('push', ...plain, '--artifact-type', 'application/vnd.example.thing', `${proxy}/oras/thing:v1`, `${file}:text/plain`)
  await oras('attach', ...plain, '--artifact-type', 'application/vnd.example.note', `${proxy}/oras/thing:v1`, `${note}:text/plain`)
  // It goes back to where it came from.
  rmSync(file)
  await oras('pull', '--plain-http', '--allow-path-traversal', '-o', folder, `${agent}/oras/thing:v1`)
  t.equal(readFileSync(file, 'utf8'), 'what is distributed\n')
  const found = await oras('discover', '--plain-http', '--format', 'json', `${agent}/oras/thing:v1`)
  const { digest, artifactType } = must(referrersIn(found)[0])
  t.equal(artifactType, 'application/vnd.example.note')
  await oras('manifest', 'delete', '--plain-http', '--force', `${proxy}/oras/thing@${digest}`)
  t.same(referrersIn(await oras('discover', '--plain-http', '--format', 'json', `${agent}/oras/thing:v1`)), [], 'a deleted referrer is not found')
  t.equal((await oras('repo', 'tags', '--plain-http', `${agent}/oras/thing`)).trim(), 'v1')
  await oras('manifest', 'delete', '--plain-http', '--force', `${proxy}/oras/thing:v1`)
  await t.rejects(oras('manifest', 'fetch', '--plain-http', `${agent}/oras/thing:v1`), /not found/)
}

function referrersIn (found: string): Array<{ digest: string, artifactType: string }> {
  const document: Record<string, Array<{ digest: string, artifactType: string }> | undefined> = JSON.parse(found)
  return document['referrers'] ?? document['manifests'] ?? []
}

async function regctl (t: Test, { proxy, agent, system }: Place): Promise<void> {
  const regctl = program(t, 'regctl')
  for (const registry of [proxy, agent]) await regctl('registry', 'set', '--tls', 'disabled', registry)
  const image = await makeImage({ layerBytes: [200_000, 3], platforms: ['linux/amd64', 'linux/arm64'], seed: 802 })
  await pushImage(system.proxyPort, 'regctl/app', 'v1', image)
  await regctl('image', 'copy', `${agent}/regctl/app:v1`, `${proxy}/regctl/copied:v1`)
  await t.resolves(pullImage(must(system.agents[0]).registryPort, 'regctl/copied', 'v1', image))
  await regctl('image', 'copy', `${proxy}/regctl/copied:v1`, `${proxy}/regctl/copied:v2`)
  t.same((await regctl('tag', 'ls', `${agent}/regctl/copied`)).trim().split('\n'), ['v1', 'v2'])
  await regctl('tag', 'delete', `${proxy}/regctl/copied:v1`)
  t.same((await regctl('tag', 'ls', `${agent}/regctl/copied`)).trim().split('\n'), ['v2'], 'a deleted tag leaves the other one')
  const about = join(temporaryFolder(t), 'about.txt')
  writeFileSync(about, 'about it\n')
  await regctl('artifact', 'put', '--artifact-type', 'application/vnd.example.about', '--subject', `${proxy}/regctl/app:v1`, '--file', about)
  t.match(await regctl('artifact', 'list', `${agent}/regctl/app:v1`), /vnd\.example\.about/)
  t.match(await regctl('repo', 'ls', agent), /regctl\/app/)
  await regctl('manifest', 'delete', `${proxy}/regctl/app@${image.top.digest}`)
  t.equal(await resolveTag(must(system.agents[0]).registryPort, 'regctl/app', 'v1'), undefined)
}

const CLIENTS = { crane, oras, regctl }

async function main (): Promise<void> {
  const names = Object.keys(CLIENTS)
  const missing = names.filter(name => !isInstalled(name))
  for (const name of missing) console.log(`not run: ${name} is not installed`)
  if (missing.length === names.length) {
    t.plan(0, `${missing.join(', ')} are not installed`)
    return
  }
  const system = await startTestSystem(t)
  const place = { proxy: `127.0.0.1:${system.proxyPort}`, agent: `127.0.0.1:${must(system.agents[0]).registryPort}`, system }
  for (const [name, work] of Object.entries(CLIENTS)) {
    if (!missing.includes(name)) t.test(name, async t => { await work(t, place) })
  }
}

await main()
