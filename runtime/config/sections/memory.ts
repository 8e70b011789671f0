import { type Infer, bool, int, nested, section, size } from '../schema.js'
import { registry } from './registry.js'

/** 16 GiB. */
const SLOTS_MAX = 65_536

/** The block `shoal`, which only this program has; every role reads the same one and takes from it what it uses. */
const fields = {
  swarm_slots: int({ as: 'swarmSlots', default: 256, min: 32, max: SLOTS_MAX, doc: 'Memory for pieces on their way in, in slots of 256 KiB (agent, origin).' }),
  upload_slots: int({ as: 'uploadSlots', default: 128, min: 8, max: SLOTS_MAX, doc: 'Memory for uploads on their way in, in slots of 256 KiB (origin, proxy).' }),
  durable: bool({ as: 'isDurable', default: true, doc: 'A push is acknowledged only when it would survive a power loss: all of it is synced to the disk first (origin).' }),
  write_copies: int({ as: 'copiesMin', default: 2, min: 1, max: 64, doc: 'Origins that must have a pushed blob before it is acknowledged; all of its owners, if those are fewer (origin).' }),
  disk_reserve: size({ as: 'reserveBytes', default: '64MB', min: 0, doc: 'So much of the disk stays free: an upload that would need it is refused at its start (origin).' }),
  inline_max: size({ as: 'inlineBytesMax', default: '64KB', min: 0, max: 65_536, doc: 'Blobs of at most this size come with the tracker\'s answer; 0 leaves all of them to the swarm (agent).' }),
  registry: nested('registry', registry, 'What clients of the registry may do.')
}

export const memory = section(fields, ({ swarmSlots, uploadSlots }) => ({ swarmSlots, uploadSlots }))
/** Size of the two slabs, in slots of 256 KiB. */
export type MemoryConfig = Infer<typeof memory>

export const memoryAndDurability = section(fields, ({ swarmSlots, uploadSlots, isDurable, copiesMin, reserveBytes }) => ({
  memory: { swarmSlots, uploadSlots },
  durability: { isDurable, copiesMin, reserveBytes }
}))
/** What an acknowledged push means. */
export type DurabilityConfig = Infer<typeof memoryAndDurability>['durability']

/** The same block for the agent. */
export const memoryRegistryAndInlining = section(fields, ({ swarmSlots, uploadSlots, registry, inlineBytesMax }) => ({
  memory: { swarmSlots, uploadSlots },
  registry,
  inlineBytesMax
}))

/** The same block for the proxy. */
export const memoryAndRegistry = section(fields, ({ swarmSlots, uploadSlots, registry }) => ({ memory: { swarmSlots, uploadSlots }, registry }))
