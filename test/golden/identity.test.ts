import t from 'tap'
import { idToJson } from '../../runtime/core/id-bytes.js'
import { makePeerId } from '../../runtime/core/peer-id.js'

/** p2p specification 4.1 and 5.11, http-api specification 14.2. */
for (const [ip, port, id] of [
  ['10.0.0.1', 16001, '98c2b1164e7c9889057941fffcaa67a45f5501ba'],
  ['10.0.0.2', 16001, '3f09784bfa8dd4e29e0180c6ba47951d530acbed'],
  ['127.0.0.1', 15001, 'db770bbe2054a18fd6f71aedeb415d296a49b5d1'],
  ['host.docker.internal', 15001, 'a952045ae4fb26449fbda9a97e9fe9c5f3430a84'],
  ['localhost', 15001, '30703a79af2301ca07e4c47d4572849f571abb98'],
  ['127.0.0.1', 16001, '9c75fb13be5bb5a239ab02b8aac07397a65176c6']
] as const) {
  t.test(`peer id of ${ip}:${port}`, async t => {
    t.equal(makePeerId('addr_hash', ip, port), id)
  })
}

for (const [port, prefix] of [[15101, '41e1ae81'], [16001, '9c75fb13'], [16011, 'f6a38037'], [16021, 'f038d9ae']] as const) {
  t.test(`peer id of the recorded peer at port ${port}`, async t => {
    t.equal(makePeerId('addr_hash', '127.0.0.1', port).slice(0, 8), prefix)
  })
}

t.test('a peer id in JSON', async t => {
  t.same(
    idToJson(makePeerId('addr_hash', 'localhost', 15001)),
    [48, 112, 58, 121, 175, 35, 1, 202, 7, 228, 196, 125, 69, 114, 132, 159, 87, 26, 187, 152]
  )
})
