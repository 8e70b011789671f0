import { type Infer, nested, section } from '../schema.js'
import { activeHealth, passiveHealth } from './healthcheck.js'
import { hashring } from './hashring.js'
import { hosts } from './hosts.js'

/** Another component, checked by `GET /health` (cluster specification 3.4). */
export const activeUpstream = section({
  hosts: nested('hosts', hosts, 'Where it is.'),
  healthcheck: nested('health', activeHealth, 'Which of its hosts are left out.')
})

/** Another component, judged by how calls to it end. */
export const passiveUpstream = section({
  hosts: nested('hosts', hosts, 'Where it is.'),
  healthcheck: nested('health', passiveHealth, 'Which of its hosts are left out.')
})

/** The same, with owners for each digest. */
export const passiveRing = section({
  hosts: nested('hosts', hosts, 'Where it is.'),
  healthcheck: nested('health', passiveHealth, 'Which of its hosts are left out.'),
  hashring: nested('ring', hashring, 'Who of them is asked about which digest.')
})

export type UpstreamConfig = Infer<typeof activeUpstream>
