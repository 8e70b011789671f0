import { type Infer, bool, choice, section } from '../schema.js'

/** What registries let their clients do, and how they take what they are asked for (http-api specification 9.4, 9.6, 9.7). */
export const registry = section({
  deletes: bool({ as: 'canDelete', default: true, doc: 'Tags, manifests and blobs can be deleted from their repositories; otherwise that is answered 405 (proxy).' }),
  membership: choice({ as: 'membership', of: ['shared', 'strict'], default: 'shared', doc: '`shared`: every repository has what the cluster has, but where it was deleted, as in Kraken. `strict`: only what was pushed to it or mounted into it through our proxies (proxy).' }),
  mirror: choice({ as: 'mirror', of: ['plain', 'per_registry'], default: 'plain', doc: 'Which repository is meant by `?ns=REGISTRY`, with which container runtimes ask a mirror. `plain`: the one in the path, as in Kraken. `per_registry`: `REGISTRY/` and the one in the path, with `_` before a port, so that one agent mirrors any number of registries (agent, proxy).' })
})
export type RegistryConfig = Infer<typeof registry>
