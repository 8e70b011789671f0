import { type ReferrerLists } from './referrers.js'
import { type Repositories } from './repositories.js'
import { type RegistryReads, type RegistryWrites } from './transfer.js'

/** What changes a repository. */
export interface RegistryParts {
  readonly reads: RegistryReads
  readonly writes: RegistryWrites
  readonly repositories: Repositories
  readonly referrers: ReferrerLists
}
