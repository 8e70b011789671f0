import { type Infer, bool, choice, section } from '../schema.js'

/** What the registry of a proxy lets its clients do (http-api specification 9.4, 9.7). */
export const registry = section({
  deletes: bool({ as: 'canDelete', default: true, doc: 'Tags, manifests and blobs can be deleted from their repositories; otherwise that is answered 405 (proxy).' }),
  membership: choice({ as: 'membership', of: ['shared', 'strict'], default: 'shared', doc: '`shared`: every repository has what the cluster has, but where it was deleted, as in Kraken. `strict`: only what was pushed to it or mounted into it through our proxies (proxy).' })
})
export type RegistryConfig = Infer<typeof registry>
