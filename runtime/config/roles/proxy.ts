import { intFlag, intsFlag } from '../flags.js'
import { nested, section, unused } from '../schema.js'
import { common, registryBlock } from '../sections/common.js'
import { memoryAndRegistry } from '../sections/memory.js'
import { proxyServer } from '../sections/prefetch.js'
import { castore } from '../sections/store.js'
import { activeUpstream } from '../sections/upstream.js'
import { type ProxyConfig } from '../types.js'
import { role } from './role.js'

export const proxyRole = role({
  name: 'proxy',
  flags: {
    port: intsFlag('Port of the registry to push to and pull from; may be repeated, each serves the same.'),
    'server-port': intFlag('Port of the proxy\'s own HTTP API; 0 for none.')
  },
  required: ['port'],
  file: section({
    castore: nested('castore', castore, 'Where uploads are put together, and blobs kept for a while.'),
    origin: nested('origin', activeUpstream, 'The origins.'),
    build_index: nested('buildIndex', activeUpstream, 'The build-indexes.'),
    shoal: nested('own', memoryAndRegistry, 'What only this program has.'),
    ...common,
    registry: registryBlock,
    registryoverride: unused('A second socket for the catalogue.'),
    server: nested('prefetch', proxyServer, 'The proxy\'s own API.')
  }),
  make: (flags, file): ProxyConfig => ({
    ports: flags.port,
    serverPort: flags['server-port'],
    castore: file.castore,
    origin: file.origin,
    buildIndex: file.buildIndex,
    prefetch: file.prefetch,
    memory: file.own.memory,
    registry: file.own.registry,
    ...file.tls === undefined ? {} : { tls: file.tls }
  })
})
