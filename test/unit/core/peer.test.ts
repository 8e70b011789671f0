import t from 'tap'
import { parsePeerId } from '../../../runtime/core/peer-id.js'
import { peerContextFromJson, peerContextToJson, peerInfoFromJson, peerInfoToJson } from '../../../runtime/core/peer.js'

const ID = parsePeerId('30703a79af2301ca07e4c47d4572849f571abb98')
const ID_JSON = '[48,112,58,121,175,35,1,202,7,228,196,125,69,114,132,159,87,26,187,152]'
const INFO = { id: ID, ip: '10.0.0.1', port: 16001, isOrigin: false, isComplete: true }
const CONTEXT = { id: ID, ip: '10.0.0.1', port: 16001, zone: 'z', cluster: 'c', isOrigin: true }

t.test('peers are written with their members in the order of the reference', async t => {
  t.equal(JSON.stringify(peerInfoToJson(INFO)), `{"peer_id":${ID_JSON},"ip":"10.0.0.1","port":16001,"origin":false,"complete":true}`)
  t.equal(
    JSON.stringify(peerContextToJson(CONTEXT)),
    `{"ip":"10.0.0.1","port":16001,"peer_id":${ID_JSON},"zone":"z","cluster":"c","origin":true}`
  )
})

t.test('they are read as they were written', async t => {
  t.same(peerInfoFromJson(JSON.parse(JSON.stringify(peerInfoToJson(INFO)))), INFO)
  t.same(peerContextFromJson(JSON.parse(JSON.stringify(peerContextToJson(CONTEXT)))), CONTEXT)
})

t.test('missing members are zero, unknown ones are ignored, and case does not matter', async t => {
  t.same(peerInfoFromJson({ PORT: 1, extra: {} }), { id: '00'.repeat(20), ip: '', port: 1, isOrigin: false, isComplete: false })
  t.same(peerContextFromJson({ zone: null }), { id: '00'.repeat(20), ip: '', port: 0, zone: '', cluster: '', isOrigin: false })
})

for (const value of [
  null, [], 'peer', { peer_id: ID }, { ip: 5 }, { ip: 'x'.repeat(256) }, { port: -1 }, { port: 65536 }, { port: '80' }, { port: 1.5 }
]) {
  t.test(`refuses ${JSON.stringify(value).slice(0, 40)}`, async t => {
    t.throws(() => peerInfoFromJson(value), { code: 'BODY_INVALID' })
    t.throws(() => peerContextFromJson(value), { code: 'BODY_INVALID' })
  })
}
