import { type Infer, int, section } from '../schema.js'

/** 16 GiB. */
const SLOTS_MAX = 65_536

/** The block `shoal`, which only this program has; every role reads the same one and takes from it what it uses. */
export const memory = section({
  swarm_slots: int({ as: 'swarmSlots', default: 256, min: 32, max: SLOTS_MAX, doc: 'Memory for pieces on their way in, in slots of 256 KiB (agent, origin).' }),
  upload_slots: int({ as: 'uploadSlots', default: 128, min: 8, max: SLOTS_MAX, doc: 'Memory for uploads on their way in, in slots of 256 KiB (origin, proxy).' })
})
/** Size of the two slabs, in slots of 256 KiB. */
export type MemoryConfig = Infer<typeof memory>
