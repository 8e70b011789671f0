import { type Infer, duration, int, section, unused } from '../schema.js'

/** Who owns which digest (cluster specification 2.4). */
export const hashring = section({
  max_replica: int({ as: 'replicasMax', default: 3, min: 1, max: 1024, doc: 'Owners of each digest. All members of a cluster must agree on it.' }),
  refresh_interval: duration({ as: 'refreshIntervalMs', default: '10s', min: 1, max: 86_400_000, doc: 'How often members and their health are looked at again.' }),
  membership_wait_timeout: unused('How long an origin waits at its start to find itself in the ring.'),
  membership_wait_interval: unused('Period of that check.')
})
export type RingConfig = Infer<typeof hashring>
