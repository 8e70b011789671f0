import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { randomUUID } from 'node:crypto'
import { type Test } from 'tap'
import { request } from 'undici'
import { freePorts } from '../../runtime/up/ports.js'
import { Supervisor } from '../../runtime/up/supervisor.js'
import { Command } from './command.js'
import { run } from './programs.js'
import { temporaryFolder } from './system.js'

export const CEPH_PROGRAMS = ['ceph', 'ceph-authtool', 'monmaptool', 'ceph-mon', 'ceph-mgr', 'ceph-osd', 'radosgw', 'radosgw-admin'] as const
export const CEPH_KEYS = { accessKeyId: 'TESTACCESS', secretAccessKey: 'TESTSECRET' }

const START_LIMIT_MS = 90_000
const STORE_BYTES = 2 * 2 ** 30

/** A whole Ceph on this host, in memory, with its S3 gateway; stopped at the end of the test. @returns the gateway's URL */
export async function startCeph (t: Test): Promise<string> {
  const root = temporaryFolder(t)
  const [gateway = 0, monitor = 0, oldMonitor = 0] = await freePorts(3)
  const at = (name: string): string => join(root, name)
  for (const folder of ['mon', 'mgr', 'osd', 'run', 'log']) mkdirSync(at(folder))
  const id = randomUUID()
  const monitors = `[v2:127.0.0.1:${monitor},v1:127.0.0.1:${oldMonitor}]`
  writeFileSync(at('ceph.conf'), configOf(root, id, monitors.replaceAll(/:(\d+)([,\]])/g, ':$1/0$2'), gateway))
  const env = { ...process.env, CEPH_CONF: at('ceph.conf') }
  const ceph = async (program: string, ...args: readonly string[]): Promise<string> => await run(t, program, args, env)
  const key = async (name: string, file: string, ...rights: readonly string[]): Promise<void> => {
    await ceph('ceph-authtool', ...file === 'new' ? ['--create-keyring'] : [], at('keyring'), '-n', name, '--gen-key', ...rights.flatMap(right => ['--cap', right, 'allow *']))
  }
  await key('client.admin', 'new', 'mon', 'osd', 'mgr')
  await key('client.rgw.a', '', 'mon', 'osd', 'mgr')
  await key('mgr.x', '', 'mon', 'osd', 'mds')
  await key('osd.0', '', 'mon', 'osd', 'mgr')
  await key('mon.', '', 'mon')
  await ceph('monmaptool', '--create', '--clobber', '--fsid', id, '--addv', 'a', monitors, at('monmap'))
  await ceph('ceph-mon', '-i', 'a', '--mkfs', '--monmap', at('monmap'), '--mon-data', at('mon'), '--keyring', at('keyring'))
  const start = async (name: string, args: readonly string[], isReady: () => Promise<boolean>): Promise<void> => {
    const supervisor = new Supervisor([{
      name,
      command: '/usr/bin/env',
      args: [`CEPH_CONF=${at('ceph.conf')}`, ...args],
      logFile: at(`log/${name}.out`),
      isHealthy: async () => await isReady().catch(() => false)
    }], () => {})
    t.teardown(async () => { await supervisor.stop() })
    supervisor.start()
    await supervisor.ready({ timeoutMs: START_LIMIT_MS })
  }
  const succeeds = async (...args: readonly string[]): Promise<boolean> => (await Command.run(t, 'ceph', ['--connect-timeout', '5', ...args], { env })).code === 0
  await start('mon', ['ceph-mon', '-f', '-i', 'a'], async () => await succeeds('-s'))
  await start('mgr', ['ceph-mgr', '-f', '-i', 'x'], async () => true)
  const disk = randomUUID()
  await ceph('ceph', 'osd', 'new', disk, '0')
  await ceph('ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', disk)
  await ceph('ceph', 'osd', 'crush', 'add', 'osd.0', '1.0', 'root=default', 'host=here')
  await start('osd', ['ceph-osd', '-f', '-i', '0'], async () => /\b1 up\b/.test(await ceph('ceph', 'osd', 'stat')))
  await start('rgw', ['radosgw', '-f', '-n', 'client.rgw.a'], async () => {
    const { statusCode, body } = await request(`http://127.0.0.1:${gateway}`)
    await body.dump()
    return statusCode < 500
  })
  const { accessKeyId, secretAccessKey } = CEPH_KEYS
  await ceph('radosgw-admin', 'user', 'create', '--uid=test', '--display-name=test', `--access-key=${accessKeyId}`, `--secret=${secretAccessKey}`)
  return `http://127.0.0.1:${gateway}`
}

function configOf (root: string, id: string, monitors: string, gateway: number): string {
  const folders = ['mon', 'mgr', 'osd'].map(name => `${name} data = ${root}/${name}`).join('\n')
  return `[global]
fsid = ${id}
mon host = ${monitors}
auth allow insecure global id reclaim = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
mon osd min up ratio = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon cpu threads = 1
paxos propose interval = 0.05
osd heartbeat interval = 1
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = ${STORE_BYTES}
ms bind ipv4 = true
public network = 127.0.0.0/8
admin socket = ${root}/run/$cluster-$name.asok
run dir = ${root}/run
log file = ${root}/log/$name.log
${folders}
keyring = ${root}/keyring
mgr initial modules =
rgw enable usage log = false
[client.rgw.a]
rgw frontends = beast endpoint=127.0.0.1:${gateway}
`
}
