import { spawn } from 'node:child_process'
import { type RegistryBackendConfig } from '../../config/types.js'
import { AppError, messageOf } from '../../core/errors.js'

/** Who we are to a registry. */
export type Credentials =
  | { readonly kind: 'none' }
  | { readonly kind: 'password', readonly username: string, readonly password: string }
  /** Exchanged for short-lived tokens. */
  | { readonly kind: 'identity', readonly token: string }
  /** Sent as it is. */
  | { readonly kind: 'bearer', readonly token: string }

const HELPER_MS = 30_000
const ANSWER_BYTES_MAX = 64 * 1024

/** The configured credentials, or what the configured helper knows. @throws AppError UNAVAILABLE if the helper fails */
export async function credentialsOf ({ address, security: { basic, helper } }: RegistryBackendConfig): Promise<Credentials> {
  if (helper !== undefined) return await askHelper(helper, address)
  if (basic?.registryToken !== undefined) return { kind: 'bearer', token: basic.registryToken.reveal() }
  if (basic?.identityToken !== undefined) return { kind: 'identity', token: basic.identityToken.reveal() }
  if (basic?.username !== undefined) return { kind: 'password', username: basic.username, password: basic.password?.reveal() ?? '' }
  return { kind: 'none' }
}

/** `docker-credential-<helper> get`: the address goes in, `{"Username":...,"Secret":...}` comes out. */
async function askHelper (helper: string, address: string): Promise<Credentials> {
  const program = `docker-credential-${helper}`
  const { code, output } = await run(program, ['get'], address)
  if (code !== 0) {
    if (/credentials not found/i.test(output)) return { kind: 'none' }
    throw new AppError('UNAVAILABLE', `${program} failed with code ${code}: ${output.slice(0, 200).trim()}`)
  }
  try {
    const answer: unknown = JSON.parse(output)
    if (typeof answer === 'object' && answer !== null && 'Username' in answer && 'Secret' in answer) {
      const { Username: username, Secret: secret } = answer
      if (typeof username === 'string' && typeof secret === 'string') {
        return username === '<token>' ? { kind: 'identity', token: secret } : { kind: 'password', username, password: secret }
      }
    }
  } catch {
    // What it said is no JSON, and may be a secret all the same: it is not shown.
  }
  throw new AppError('UNAVAILABLE', `${program} did not answer with a username and a secret`)
}

async function run (program: string, args: readonly string[], input: string): Promise<{ code: number | null, output: string }> {
  return await new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'], signal: AbortSignal.timeout(HELPER_MS) })
    const parts: Buffer[] = []
    let totalBytes = 0
    child.stdout.on('data', (part: Buffer) => {
      totalBytes += part.length
      if (totalBytes <= ANSWER_BYTES_MAX) parts.push(part)
      else child.kill()
    })
    // A helper that ends without reading its input says so with its code.
    child.stdin.on('error', () => {})
    child.on('error', cause => { reject(new AppError('UNAVAILABLE', `${program} could not be run: ${messageOf(cause)}`, { cause })) })
    child.on('close', code => { resolve({ code, output: Buffer.concat(parts).toString() }) })
    child.stdin.end(`${input}\n`)
  })
}
