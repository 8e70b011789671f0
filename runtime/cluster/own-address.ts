import { networkInterfaces } from 'node:os'

/** The interfaces whose address a host is known by, best first (cluster specification 2.5). */
const PREFERRED = ['eth0', 'ib0', 'eth1', 'eth2']

type Interfaces = ReturnType<typeof networkInterfaces>

/**
 * The IPv4 address by which other hosts most likely know this one: that of the interfaces which the reference considers,
 * else the first of any other interface, since today's names (`ens5`, `enp1s0`) are not among those. Undefined on a host
 * that has only its loopback.
 */
export function localIp (interfaces: Interfaces = networkInterfaces()): string | undefined {
  const names = [...PREFERRED, ...Object.keys(interfaces).filter(name => !PREFERRED.includes(name)).sort()]
  return names
    .flatMap(name => interfaces[name] ?? [])
    .find(entry => entry.family === 'IPv4' && !entry.internal)?.address
}

/**
 * Every address `host:port` by which the members' list may mean this host, best first: its name, the address others most
 * likely know, then those of all its interfaces, and last those that mean this host from its own point of view.
 */
export function ownAddresses (hostname: string, port: number, interfaces: Interfaces = networkInterfaces()): string[] {
  const all = Object.values(interfaces).flatMap(entries => entries ?? []).filter(entry => entry.family === 'IPv4' && !entry.internal).map(entry => entry.address)
  const hosts = [hostname, localIp(interfaces), ...all, '127.0.0.1', 'localhost'].filter(host => host !== undefined && host !== '')
  return [...new Set(hosts)].map(host => `${host}:${port}`)
}
