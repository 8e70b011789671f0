import { type Infer, bool, duration, int, section } from '../schema.js'

export const connState = section({
  max_open_conn: int({ as: 'openConnsMax', default: 10, min: 1, max: 65_535, doc: 'Connections per torrent, pending and active, incoming and outgoing together, at most.' }),
  max_mutual_conn: int({ as: 'mutualConnsMax', sameAs: 'max_open_conn', min: 1, max: 65_535, doc: 'A dialling peer is refused when more than this many of its neighbours are connected here too.' }),
  disable_blacklist: bool({ as: 'blacklistDisabled', default: false, doc: 'Never leave a failed peer alone; for tests.' }),
  blacklist_duration: duration({ as: 'blacklistMs', default: '30s', min: 1, max: 86_400_000, doc: 'How long a peer is left alone after it failed.' })
}, ({ blacklistDisabled, blacklistMs, ...limits }) => ({ ...limits, blacklistMs: blacklistDisabled ? 0 : blacklistMs }))

/** `blacklistMs` is 0 if the blacklist is disabled. */
export type ConnStateConfig = Readonly<Infer<typeof connState>>
