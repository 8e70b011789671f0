import { join } from 'node:path'
import t from 'tap'
import { type Reply } from '../../../net/http/engine.js'
import { Preloader } from '../../../runtime/agent/preload.js'
import { noLog } from '../../../runtime/observe/log.js'
import { bytesOf } from '../../support/registry/fake-request.js'
import { smallServer } from '../../support/small-server.js'
import { temporaryFolder } from '../../support/system.js'

const NEVER = new AbortController().signal
const preloader = (host: string): Preloader => new Preloader({ docker: { host, version: '1.21' }, registryAddress: '127.0.0.1:16000', log: noLog })
const shown = async ({ status, body }: Reply): Promise<[number, string]> => [status, body === undefined ? '' : (await bytesOf({ status, body })).toString()]

t.test('docker is told to pull through this agent', async t => {
  const docker = await smallServer(t, () => ({ status: 200, body: '{"status":"Done"}\n' }))
  for (const runtime of ['docker', '']) t.same(await shown(await preloader(`tcp://${docker.address}`).preload('library/app:1.0', runtime, NEVER)), [200, ''])
  const pull = 'POST /v1.21/images/create?fromImage=127.0.0.1%3A16000%2Flibrary%2Fapp&tag=1.0'
  t.same(docker.journal, [pull, pull])
})

t.test('a pull that failed', async t => {
  const docker = await smallServer(t, () => ({ status: 200, body: '{"error":"manifest unknown"}\n' }))
  t.same(await shown(await preloader(`tcp://${docker.address}`).preload('app:1', 'docker', NEVER)), [500, 'docker pull: manifest unknown'])
  const socket = join(temporaryFolder(t), 'none.sock')
  const [status, text] = await shown(await preloader(`unix://${socket}`).preload('app:1', 'docker', NEVER))
  t.equal(status, 500)
  t.equal(text, `docker pull: send post request: Post "http://${encodeURIComponent(socket)}/v1.21/images/create?fromImage=127.0.0.1%3A16000%2Fapp&tag=1": dial unix ${socket}: connect: no such file or directory`)
})

t.test('what is not asked of anybody', async t => {
  const docker = await smallServer(t, () => ({ status: 200 }))
  const ask = async (tag: string, runtime = 'docker'): Promise<[number, string]> => await shown(await preloader(`tcp://${docker.address}`).preload(tag, runtime, NEVER))
  for (const tag of ['nocolon', 'a:b:c', ':1', 'app:']) t.same(await ask(tag), [500, 'failed to parse docker image tag'], tag)
  t.match(await ask('app:1', 'containerd'), [500, /^containerd pull: .*gRPC/])
  t.same(await ask('app:1', 'podman'), [500, 'unsupported container runtime'])
  t.same(docker.journal, [])
})
