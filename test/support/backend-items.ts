import { auth } from '../../runtime/config/sections/auth.js'
import { backends } from '../../runtime/config/sections/backends.js'
import { type BackendsConfig } from '../../runtime/config/types.js'

/** Backends as a configuration file has them, for tests. */
export function backendsConfig (items: readonly object[], credentials: object = {}): BackendsConfig {
  return { items: backends.schema.parse(items), auth: auth.schema.parse(credentials) }
}
