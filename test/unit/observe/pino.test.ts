import t from 'tap'
import { type LogLevel } from '../../../runtime/config/sections/common.js'
import { type Logger } from '../../../runtime/observe/log.js'
import { makeLog } from '../../../runtime/observe/pino.js'

function capture (level: LogLevel): { log: Logger, lines: () => unknown[] } {
  const written: string[] = []
  const log = makeLog({ level, fields: { role: 'agent' }, sink: { write: line => { written.push(line) } } })
  return { log, lines: () => written.map(line => { const parsed: unknown = JSON.parse(line); return parsed }) }
}

t.test('a line is one JSON object with level, time, event and fields', async t => {
  const { log, lines } = capture('info')
  log.info({ tookMs: 5 }, 'torrent done')
  t.match(lines(), [{ level: 'info', time: /^\d{4}-\d\d-\d\dT.*Z$/, event: 'torrent done', role: 'agent', tookMs: 5, pid: process.pid }])
})

t.test('less important lines are left out', async t => {
  for (const [level, count] of [['debug', 4], ['info', 3], ['warn', 2], ['error', 1]] as const) {
    const { log, lines } = capture(level)
    log.debug({}, 'd')
    log.info({}, 'i')
    log.warn({}, 'w')
    log.error({}, 'e')
    t.equal(lines().length, count, level)
  }
})

t.test('a child adds its fields, and errors keep message and stack', async t => {
  const { log, lines } = capture('info')
  log.child({ conn: 7 }).error({ error: new Error('broken') }, 'failed')
  t.match(lines(), [{ conn: 7, role: 'agent', error: { message: 'broken', stack: /pino\.test/ } }])
})

t.test('a child takes the functions with it', async t => {
  const { log, lines } = capture('info')
  const { info } = { info: log.child({}).info.bind(log) }
  info({}, 'bound')
  t.equal(lines().length, 1)
})
