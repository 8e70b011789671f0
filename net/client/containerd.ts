import { spawn } from 'node:child_process'
import { AppError, isAppError, messageOf, systemCodeOf } from '../../runtime/core/errors.js'
import { type CallOptions } from './clients.js'

/** Of what `ctr` says, from the end: that is where the reason of a failure stands. */
const REPORT_CHARACTERS_MAX = 4_096
/** That of containerd's own identifiers, so nothing that begins with a dash. */
const NAMESPACE = /^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/
const NAMESPACE_CHARACTERS_MAX = 76
/** What `ctr` itself takes when it is told none. */
const NAMESPACE_DEFAULT = 'default'

export interface ContainerdOptions {
  /** Path of the unix socket on which containerd listens. */
  readonly address: string
}

/**
 * Has containerd pull and unpack an image from a registry that speaks plain HTTP, and resolves when it has. containerd takes
 * gRPC only and leaves the pulling to its clients, so its own client does it: the program `ctr`, which comes with it.
 * @param image - begins with the registry's address
 * @param namespace - one of containerd's; '' is its default one
 * @throws AppError PARAMETER_INVALID for a namespace that cannot be, UNAVAILABLE with what `ctr` says last if it fails or is
 *   not there, CANCELLED
 */
export async function containerdPull ({ address }: ContainerdOptions, image: string, namespace: string, { signal }: CallOptions = {}): Promise<void> {
  const chosen = namespace === '' ? NAMESPACE_DEFAULT : namespace
  if (chosen.length > NAMESPACE_CHARACTERS_MAX || !NAMESPACE.test(chosen)) {
    throw new AppError('PARAMETER_INVALID', `namespace ${JSON.stringify(chosen.slice(0, 128))} is none that containerd can have`)
  }
  try {
    await runCtr(['--address', address, '--namespace', chosen, 'images', 'pull', '--plain-http', image], signal)
  } catch (error) {
    if (isAppError(error)) throw error
    if (signal?.aborted === true) throw new AppError('CANCELLED', `pull of ${image}: cancelled`, { cause: error })
    const reason = systemCodeOf(error) === 'ENOENT' ? 'the program ctr, which comes with containerd, is not in the PATH of this agent' : messageOf(error)
    throw new AppError('UNAVAILABLE', reason, { cause: error })
  }
}

/** @throws AppError UNAVAILABLE if it ends with a failure; Error if it cannot be started, or is killed because of the signal */
async function runCtr (args: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const child = spawn('ctr', args, { signal, stdio: ['ignore', 'ignore', 'pipe'] })
    let report = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => { report = (report + text).slice(-REPORT_CHARACTERS_MAX) })
    child.once('error', reject)
    child.once('close', (code, killedBy) => {
      if (code === 0) resolve()
      else reject(new AppError('UNAVAILABLE', reasonIn(report) ?? `ctr ended with ${code === null ? String(killedBy) : `code ${code}`}`))
    })
  })
}

/** The last line that says something, without the name of the program. */
function reasonIn (report: string): string | undefined {
  const last = report.split('\n').findLast(line => line.trim() !== '')
  return last?.trim().replace(/^ctr: /, '')
}
