import { leafShape, listShape, regexShape, type Shape } from '../shapes.js'

/** Which tags go to which build-index of another cluster (cluster specification 7.5). */
export interface RemoteConfig {
  /** `host:port`, or a name alone where a front listens on port 80. */
  readonly address: string
  /** Searched in `repository:tag`; one that is found is enough. */
  readonly patterns: readonly RegExp[]
}

export const remoteAddress: Shape<string> = leafShape('address', 'an address such as build-index.elsewhere:5001', raw =>
  typeof raw === 'string' && raw.length <= 300 && /^(?:[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?$/.test(raw) ? raw : undefined)

export const remotePatterns: Shape<readonly RegExp[]> = listShape(regexShape())
