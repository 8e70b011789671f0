import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Reply } from '../../../net/http/engine.js'
import { Preloader } from '../../../runtime/agent/preload.js'
import { noLog } from '../../../runtime/observe/log.js'
import { until } from '../../support/manual-time.js'
import { bytesOf } from '../../support/registry/fake-request.js'
import { smallServer } from '../../support/small-server.js'
import { temporaryFolder } from '../../support/system.js'

const NEVER = new AbortController().signal
const CONTAINERD = { address: '/nowhere/containerd.sock' }
const preloader = (host: string): Preloader => new Preloader({ docker: { host, version: '1.21' }, containerd: CONTAINERD, registryAddress: '127.0.0.1:16000', log: noLog })
const shown = async ({ status, body }: Reply): Promise<[number, string]> => [status, body === undefined ? '' : (await bytesOf({ status, body })).toString()]

t.test('docker is told to pull through this agent', async t => {
  const docker = await smallServer(t, () => ({ status: 200, body: '{"status":"Done"}\n' }))
  for (const runtime of ['docker', '']) t.same(await shown(await preloader(`tcp://${docker.address}`).preload({ tag: 'library/app:1.0', runtime, namespace: '', signal: NEVER })), [200, ''])
  const pull = 'POST /v1.21/images/create?fromImage=127.0.0.1%3A16000%2Flibrary%2Fapp&tag=1.0'
  t.same(docker.journal, [pull, pull])
})

t.test('a pull that failed', async t => {
  const docker = await smallServer(t, () => ({ status: 200, body: '{"error":"manifest unknown"}\n' }))
  t.same(await shown(await preloader(`tcp://${docker.address}`).preload({ tag: 'app:1', runtime: 'docker', namespace: '', signal: NEVER })), [500, 'docker pull: manifest unknown'])
  const socket = join(temporaryFolder(t), 'none.sock')
  const [status, text] = await shown(await preloader(`unix://${socket}`).preload({ tag: 'app:1', runtime: 'docker', namespace: '', signal: NEVER }))
  t.equal(status, 500)
  t.equal(text, `docker pull: send post request: Post "http://${encodeURIComponent(socket)}/v1.21/images/create?fromImage=127.0.0.1%3A16000%2Fapp&tag=1": dial unix ${socket}: connect: no such file or directory`)
})

t.test('what is not asked of anybody', async t => {
  const docker = await smallServer(t, () => ({ status: 200 }))
  const ask = async (tag: string, runtime = 'docker'): Promise<[number, string]> => await shown(await preloader(`tcp://${docker.address}`).preload({ tag, runtime, namespace: '', signal: NEVER }))
  for (const tag of ['nocolon', 'a:b:c', ':1', 'app:', '--all:1', 'app:-1', 'App:1']) t.same(await ask(tag), [500, 'failed to parse docker image tag'], tag)
  t.same(await ask('app:1', 'podman'), [500, 'unsupported container runtime'])
  t.same(docker.journal, [])
})

/** Puts a program called `ctr` first in the path. @returns the file in which it notes its arguments */
function fakeCtr (t: Test, commands: string): string {
  const folder = temporaryFolder(t)
  const asked = join(folder, 'asked')
  writeFileSync(join(folder, 'ctr'), `#!/bin/sh\necho "$@" >> ${asked}\n${commands}\n`, { mode: 0o755 })
  const before = process.env['PATH']
  process.env['PATH'] = `${folder}:${before ?? ''}`
  t.teardown(() => { process.env['PATH'] = before })
  return asked
}

t.test('containerd is told by its own client', async t => {
  const ask = async (namespace: string, signal = NEVER): Promise<[number, string]> =>
    await shown(await preloader('tcp://127.0.0.1:1').preload({ tag: 'library/app:1.0', runtime: 'containerd', namespace, signal }))
  const line = (namespace: string): string =>
    `--address /nowhere/containerd.sock --namespace ${namespace} images pull --plain-http 127.0.0.1:16000/library/app:1.0\n`
  await t.test('a pull', async t => {
    const asked = fakeCtr(t, 'exit 0')
    t.same(await ask(''), [200, ''])
    t.same(await ask('k8s.io'), [200, ''])
    t.equal(readFileSync(asked, 'utf8'), line('default') + line('k8s.io'))
    for (const namespace of ['--all', 'a/b', 'a b', 'x'.repeat(77)]) t.match(await ask(namespace), [500, /^containerd pull: namespace .* none that containerd can have/])
  })
  await t.test('what it says last is told', async t => {
    fakeCtr(t, 'echo resolving >&2; echo "ctr: failed to resolve reference: not found" >&2; exit 1')
    t.same(await ask(''), [500, 'containerd pull: failed to resolve reference: not found'])
  })
  await t.test('an end without a word', async t => {
    fakeCtr(t, 'exit 3')
    t.same(await ask(''), [500, 'containerd pull: ctr ended with code 3'])
  })
  await t.test('nobody waits any more', async t => {
    const asked = fakeCtr(t, 'exec sleep 1000')
    const leaving = new AbortController()
    const answer = ask('', leaving.signal)
    await until(() => existsSync(asked))
    leaving.abort()
    t.match(await answer, [500, /cancelled/])
  })
  await t.test('it is not there', async t => {
    const before = process.env['PATH']
    process.env['PATH'] = temporaryFolder(t)
    t.teardown(() => { process.env['PATH'] = before })
    t.match(await ask(''), [500, /^containerd pull: the program ctr.* is not in the PATH/])
  })
})

t.test('pulls have a limit', async t => {
  const docker = await smallServer(t, async () => await new Promise(() => {}))
  const one = preloader(`tcp://${docker.address}`)
  const leaving = new AbortController()
  const ask = async (signal: AbortSignal): Promise<[number, string]> => await shown(await one.preload({ tag: 'app:1', runtime: '', namespace: '', signal }))
  const running = Array.from({ length: 16 }, async () => await ask(leaving.signal))
  t.match(await ask(NEVER), [429, /preloaded already/])
  leaving.abort()
  for (const answer of await Promise.all(running)) t.equal(answer[0], 500)
})
