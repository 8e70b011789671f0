import t from 'tap'
import { type networkInterfaces } from 'node:os'
import { localIp, ownAddresses } from '../../../runtime/cluster/own-address.js'

type Entry = NonNullable<ReturnType<typeof networkInterfaces>[string]>[number]

const ipv4 = (address: string, internal = false): Entry =>
  ({ address, internal, family: 'IPv4', netmask: '255.255.255.0', mac: '00:00:00:00:00:00', cidr: `${address}/24` })
const ipv6 = (address: string): Entry =>
  ({ address, internal: false, family: 'IPv6', netmask: 'ffff::', mac: '00:00:00:00:00:00', cidr: `${address}/64`, scopeid: 0 })
const lo = [ipv4('127.0.0.1', true)]

for (const [what, interfaces, expected] of [
  ['eth0 before eth1', { eth1: [ipv4('10.0.0.2')], eth0: [ipv4('10.0.0.1')], lo }, '10.0.0.1'],
  ['ib0 before eth1', { eth1: [ipv4('10.0.0.2')], ib0: [ipv4('10.0.0.3')], lo }, '10.0.0.3'],
  ['names of today, in the order of their spelling', { lo, ens6: [ipv4('10.0.0.6')], ens5: [ipv4('10.0.0.5')] }, '10.0.0.5'],
  ['no IPv6', { eth0: [ipv6('fd00::1'), ipv4('10.0.0.1')], lo }, '10.0.0.1'],
  ['no loopback', { lo }, undefined]
] as const) {
  t.test(`the local address: ${what}`, async t => { t.equal(localIp(structuredClone(interfaces) as ReturnType<typeof networkInterfaces>), expected) })
}

t.test('own addresses: the name first, the loopback last, none twice', async t => {
  t.same(ownAddresses('origin1', 80, { lo, eth0: [ipv4('10.0.0.1')], eth7: [ipv4('10.0.7.1')] }),
    ['origin1:80', '10.0.0.1:80', '10.0.7.1:80', '127.0.0.1:80', 'localhost:80'])
  t.same(ownAddresses('127.0.0.1', 80, { lo }), ['127.0.0.1:80', 'localhost:80'])
})
