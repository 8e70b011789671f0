import { type BuildIndexConfig, type OriginConfig } from '../../runtime/config/types.js'
import { NO_BACKENDS } from '../../runtime/config/sections/backends.js'
import { retry } from '../../runtime/config/sections/retry.js'

/** What a component is told about its tasks, as quick as tests want it; they are kept beside `dir`. */
export function taskConfig (dir: string): Pick<OriginConfig, 'taskDir' | 'writeBack' | 'durability'> {
  const writeBack = retry.schema.parse({ retry_interval: '100ms', retry_interval_max: '1s' })
  return { taskDir: `${dir}.tasks`, writeBack, durability: { isDurable: true, copiesMin: 2, reserveBytes: 0 } }
}

type IndexKeys = 'taskDir' | 'writeBack' | 'tagReplication' | 'cluster' | 'duplicatePutStaggerMs' | 'isWriteThrough' | 'backends' | 'remotes' | 'duplicateReplicateStaggerMs' | 'auditIntervalMs'

/** The same for a build-index that is alone, with no storage behind it. */
export function loneIndexConfig (dir: string): Pick<BuildIndexConfig, IndexKeys> {
  const { taskDir, writeBack } = taskConfig(dir)
  return {
    taskDir,
    writeBack,
    tagReplication: writeBack,
    cluster: undefined,
    duplicatePutStaggerMs: 1_200_000,
    isWriteThrough: false,
    backends: NO_BACKENDS,
    remotes: [],
    duplicateReplicateStaggerMs: 1_200_000,
    auditIntervalMs: 0
  }
}
