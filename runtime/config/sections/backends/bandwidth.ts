import { type Infer, bool, int, section, unused } from '../../schema.js'

/** Rates of a whole cluster's traffic to one backend; each member takes its share of them. */
export interface BandwidthConfig { readonly egressBytesPerSecond: number, readonly ingressBytesPerSecond: number }

const RATE_MAX = 2 ** 50
const DEFAULTS = { egress: 8 * 2 ** 30, ingress: 80 * 2 ** 30 }

export const bandwidth = section({
  enable: bool({ as: 'isEnabled', default: false, doc: 'Whether there is a limit.' }),
  egress_bits_per_sec: int({ as: 'egressBits', default: 0, min: 0, max: RATE_MAX, doc: 'To the backend. 0: 8 Gbit for s3 and gcs; required for others.' }),
  ingress_bits_per_sec: int({ as: 'ingressBits', default: 0, min: 0, max: RATE_MAX, doc: 'From the backend. 0: 80 Gbit for s3 and gcs; required for others.' }),
  token_size: unused('Traffic is limited as it flows, not in tokens.')
})

/** The limits of a backend of this kind, or undefined if there are none. */
export function bandwidthOf (
  { isEnabled, egressBits, ingressBits }: Infer<typeof bandwidth>, kind: string, complain: (message: string) => void
): BandwidthConfig | undefined {
  if (!isEnabled) return undefined
  const hasDefaults = kind === 's3' || kind === 'gcs'
  const egress = egressBits === 0 && hasDefaults ? DEFAULTS.egress : egressBits
  const ingress = ingressBits === 0 && hasDefaults ? DEFAULTS.ingress : ingressBits
  if (egress < 8 || ingress < 8) complain(`egress_bits_per_sec and ingress_bits_per_sec are required for ${kind}, at least 8 each`)
  return { egressBytesPerSecond: egress / 8, ingressBytesPerSecond: ingress / 8 }
}
