import { type Complain, type Infer, duration, list, optionalName, section } from '../schema.js'
import { addressShape } from '../shapes.js'

const fields = {
  static: list({ as: 'static', of: addressShape(), doc: 'Addresses `host:port`. Either this or `dns`.' }),
  dns: optionalName({ as: 'dns', doc: '`name:port`: every address of the name (A and AAAA), each with this port. Or `_service._tcp.name`: the targets of its SRV records, by name, with their ports.' }),
  ttl: duration({ as: 'ttlMs', default: '5s', min: 1, doc: 'How long the addresses of a name are reused.' })
}

/** Who the other members of a cluster are (cluster specification 3.1). */
export const hosts = section(fields, exactlyOne)
export type HostsConfig = Infer<typeof hosts>

function exactlyOne<H extends { static: readonly string[], dns: string | undefined }> (hosts: H, complain: Complain): H {
  if (hosts.static.length === 0 && hosts.dns === undefined) complain('required: expected `static`, a list of host:port, or `dns`, a name:port')
  if (hosts.static.length > 0 && hosts.dns !== undefined) complain('expected either `static` or `dns`, got both')
  return hosts
}
