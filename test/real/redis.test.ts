import t from 'tap'
import { freePorts } from '../../runtime/up/ports.js'
import { Command } from '../support/command.js'
import { arePresent, run } from '../support/programs.js'
import { redisSuite } from '../support/redis-suite.js'
import { temporaryFolder } from '../support/system.js'

/* Trackers on a Redis server: they share their peers, and do without it while it is stopped or stands still. */

t.setTimeout(120_000)

if (arePresent(t, 'redis-server', 'redis-cli')) {
  t.test('trackers share their peers through redis, and do without it', async t => {
    const folder = temporaryFolder(t)
    const [port = 0] = await freePorts(1)
    let server: Command | undefined
    const start = async (): Promise<void> => {
      server = new Command(t, 'redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder])
      await server.says(/Ready to accept connections/)
    }
    await start()
    await redisSuite(t, {
      address: `127.0.0.1:${port}`,
      start,
      stop: async () => {
        server?.kill('SIGTERM')
        await server?.end()
      },
      freeze: () => { server?.kill('SIGSTOP') },
      thaw: () => { server?.kill('SIGCONT') },
      members: async key => (await run(t, 'redis-cli', ['-p', String(port), 'SMEMBERS', key])).split('\n').filter(member => member !== '')
    })
  })
}
