import { type MessagePort, workerData } from 'node:worker_threads'
import { AppError } from '../runtime/core/errors.js'
import { type JobResult, type Jobs } from './jobs.js'
import { failureOf } from './result.js'
import { type HashOptions, type JobTable } from './hash.js'

/*
 * The one file that worker threads run. `runJob` serves the hash pool, `runService` one service for the life of its thread.
 */

let jobs: Promise<JobTable> | undefined

/** Runs one job; failures are values, since structured clone would strip an error of its class and code. */
export async function runJob<J extends keyof Jobs> ({ job, input }: { job: J, input: Jobs[J]['input'] }): Promise<JobResult<Jobs[J]['output']>> {
  try {
    jobs ??= import('./hash.js').then(({ createJobs }) => createJobs(workerData as HashOptions))
    return { ok: true, value: (await jobs)[job](input) }
  } catch (error) {
    return failureOf(error)
  }
}

/** What a service is started with; its options are those of the function that runs it. */
export interface ServiceTask { readonly service: string, readonly port: MessagePort, readonly options: unknown }

/** Runs one service until its port is closed. */
export async function runService ({ service, port, options }: ServiceTask): Promise<JobResult<undefined>> {
  const closed = new Promise(resolve => port.once('close', resolve))
  try {
    await start(service, port, options)
    await closed
    return { ok: true, value: undefined }
  } catch (error) {
    return failureOf(error)
  }
}

async function start (service: string, port: MessagePort, options: unknown): Promise<void> {
  switch (service) {
    case 'upload': {
      const { runUpload } = await import('./upload.js')
      return await runUpload(port, options as Parameters<typeof runUpload>[1])
    }
    case 'swarm': {
      const { runSwarm } = await import('./swarm.js')
      return await runSwarm(port, options as Parameters<typeof runSwarm>[1])
    }
    default: throw new AppError('INTERNAL', `there is no service "${service}"`)
  }
}
