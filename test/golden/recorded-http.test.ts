import { readFileSync } from 'node:fs'
import t from 'tap'
import { idToJson } from '../../runtime/core/id-bytes.js'
import { makePeerId } from '../../runtime/core/peer-id.js'
import { startLocalCluster } from '../support/local-cluster.js'
import { type Comparable, readRecording, recordedAnswer, Replay, type Step, withBody } from '../support/replay.js'
import { type Change, INTENDED } from './intended-differences.js'

/*
 * Every exchange that was recorded from a cluster of the reference, sent in the same order to a cluster of ours. An answer
 * equals the recorded one, or what the table of intended differences makes of it. An entry of the table that nothing needs
 * any more fails as well.
 */

const RECORDING = readRecording(new URL('./vectors/http.json', import.meta.url))
const PIECE_BYTES = 65_536

t.test('what the reference answered', async t => {
  const cluster = await startLocalCluster(t, { pieceBytes: PIECE_BYTES, sleep: async () => {}, hasTestfs: true })
  const { origin, originPeer, tracker, buildIndex, proxy: [proxy, proxyserver], agentServer, agentRegistry, dockerSocket, testfs } = cluster
  const replay = new Replay(RECORDING, {
    // The recorded `proxyserver` is a second registry port, not the server port.
    ports: { origin, tracker, buildindex: buildIndex, proxy, proxyserver, agent: agentServer, agentreg: agentRegistry, testfs },
    names: [
      [`127.0.0.1:${origin}`, '127.0.0.1:15100'],
      [`"port":${originPeer}`, '"port":15101'],
      [peerIdText(originPeer), peerIdText(15101)],
      [`127.0.0.1:${agentRegistry}`, '127.0.0.1:16000'],
      [`127.0.0.1%3A${agentRegistry}`, '127.0.0.1%3A16000'],
      [dockerSocket, '/var/run/docker.sock'],
      [encodeURIComponent(dockerSocket), '%2Fvar%2Frun%2Fdocker.sock']
    ]
  })
  for (const step of RECORDING.steps) {
    const recorded = recordedAnswer(step)
    const expected = changesOf(step.id).reduce<Comparable>(changed, recorded)
    t.same(await playUntil(replay, step, expected), expected, step.id)
  }
})

t.test('the table is about recorded exchanges, and each entry changes something', async t => {
  const byId = new Map(RECORDING.steps.map(step => [step.id, step]))
  for (const { steps } of INTENDED) {
    for (const id of Object.keys(steps)) {
      const step = byId.get(id)
      t.ok(step !== undefined, `${id} was recorded`)
      if (step === undefined) continue
      changesOf(id).reduce<Comparable>((before, change) => {
        const after = changed(before, change)
        t.notSame(after, before, `${id} is changed`)
        return after
      }, recordedAnswer(step))
    }
  }
})

t.test('docs/migration.md has every row of the table', async t => {
  const page = readFileSync(new URL('../../../docs/migration.md', import.meta.url), 'utf8')
  for (const { kraken, ours, why } of INTENDED) {
    const row = `| ${[kraken, ours, why].join(' | ')} |`
    t.ok(page.includes(`\n${row}\n`), row)
  }
})

/** A blacklist is asked for until the connections of the last download are closed, a list of files until all are written back. */
async function playUntil (replay: Replay, step: Step, expected: Comparable): Promise<Comparable> {
  let answer = await replay.play(step, expected)
  const triesMax = ['agent.blacklist', 'testfs.list'].includes(step.id) ? 1000 : 0
  for (let tries = 0; answer.body !== expected.body && tries < triesMax; tries++) answer = await replay.play(step, expected)
  return answer
}

function changesOf (id: string): Change[] { return INTENDED.flatMap(({ steps }) => steps[id] ?? []) }

function changed (before: Comparable, { status, headers = {}, body }: Change): Comparable {
  const kept = Object.entries({ ...before.headers, ...headers }).flatMap(([name, value]) => value === undefined ? [] : [[name, value] as const])
  const answer = { status: status ?? before.status, headers: Object.fromEntries(kept), body: before.body }
  if (body === undefined) return answer
  return headers['content-length'] === undefined ? withBody(answer, body) : { ...answer, body }
}

function peerIdText (port: number): string { return idToJson(makePeerId('addr_hash', '127.0.0.1', port)).join(',') }
