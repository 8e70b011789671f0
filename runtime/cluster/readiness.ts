import { type CallOptions } from '../../net/client/clients.js'
import { messageOf } from '../core/errors.js'

/** How long a dependency may take to say that it is ready (http-api specification 3.2). */
export const READY_TIMEOUT_MS = 5_000

/** Another component, or a part of this one. */
export interface Checked { checkReadiness (options?: CallOptions): Promise<void> }

/**
 * Asks all of them at once.
 * @param dependencies - what is said about each if it is not ready, such as `tracker not ready`
 * @returns what is wrong, in their order
 */
export async function missing (dependencies: ReadonlyArray<readonly [what: string, dependency: Checked]>): Promise<string[]> {
  const failures = await Promise.all(dependencies.map(async ([what, dependency]) =>
    await failureOf(what, dependency.checkReadiness({ signal: AbortSignal.timeout(READY_TIMEOUT_MS) }))))
  return failures.filter(failure => failure !== undefined)
}

/** What is wrong, or undefined. */
export async function failureOf (what: string, check: Promise<void>): Promise<string | undefined> {
  try {
    await check
    return undefined
  } catch (error) {
    return `${what}: ${messageOf(error)}`
  }
}
