import { EventEmitter } from 'node:events'
import t from 'tap'
import { StopRequest, type StopSource } from '../../../runtime/cli/stop-request.js'

class FakeProcess extends EventEmitter implements StopSource {
  readonly codes: number[] = []
  exit (code: number): void { this.codes.push(code) }
}

function start (): { source: FakeProcess, stop: StopRequest, clock: { now: number } } {
  const source = new FakeProcess()
  const clock = { now: 1_000 }
  return { source, clock, stop: new StopRequest(source, () => clock.now) }
}

for (const [event, reason] of [['SIGINT', 'SIGINT'], ['SIGTERM', 'SIGTERM'], ['disconnect', 'parent ended']] as const) {
  t.test(`${event} asks to stop, and ends nothing by itself`, async t => {
    const { source, stop } = start()
    t.equal(stop.signal.aborted, false)
    source.emit(event, event)
    t.equal(stop.signal.aborted, true)
    t.equal(await stop.requested, reason)
    t.same(source.codes, [])
  })
}

t.test('a second signal ends the process at once, with the code that says which', async t => {
  const { source, clock } = start()
  source.emit('SIGTERM', 'SIGTERM')
  clock.now += 500
  source.emit('SIGINT', 'SIGINT')
  t.same(source.codes, [130])
  source.emit('SIGTERM', 'SIGTERM')
  t.same(source.codes, [130, 143])
})

t.test('a signal that comes twice for one key press counts once', async t => {
  const { source, clock } = start()
  source.emit('SIGINT', 'SIGINT')
  clock.now += 499
  source.emit('SIGINT', 'SIGINT')
  t.same(source.codes, [])
})

t.test('the end of the parent after a signal hastens nothing', async t => {
  const { source, clock, stop } = start()
  source.emit('SIGTERM', 'SIGTERM')
  clock.now += 5_000
  source.emit('disconnect')
  t.same(source.codes, [])
  t.equal(await stop.requested, 'SIGTERM')
})

t.test('it can be taken off', async t => {
  const { source, stop } = start()
  stop.dispose()
  for (const event of ['SIGINT', 'SIGTERM', 'disconnect']) t.equal(source.listenerCount(event), 0)
})
