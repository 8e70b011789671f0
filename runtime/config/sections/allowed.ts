import { isIP } from 'node:net'
import { leafShape, type Shape } from '../shapes.js'

/** An address, or a network such as `10.0.0.0/8`. */
export interface Source {
  readonly address: string
  readonly family: 'ipv4' | 'ipv6'
  /** Leading bits that count; all of a single address. */
  readonly prefixBits: number
}

/** One element of `allowed_cidrs`; `all` is every address, as in the front that the reference puts there. */
export function sourceShape (): Shape<readonly Source[]> {
  return leafShape('address or network', 'an address or a network such as 10.1.2.3 or 10.0.0.0/8', raw => {
    if (raw === 'all') return [{ address: '0.0.0.0', family: 'ipv4', prefixBits: 0 }, { address: '::', family: 'ipv6', prefixBits: 0 }]
    if (typeof raw !== 'string' || raw.length > 64) return undefined
    const [address = '', bits, ...more] = raw.split('/')
    const version = isIP(address)
    const bitsMax = version === 4 ? 32 : 128
    const prefixBits = bits === undefined ? bitsMax : /^\d{1,3}$/.test(bits) ? Number(bits) : -1
    if (version === 0 || more.length > 0 || prefixBits < 0 || prefixBits > bitsMax) return undefined
    return [{ address, family: version === 4 ? 'ipv4' : 'ipv6', prefixBits }]
  })
}
