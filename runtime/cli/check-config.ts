import { UsageError } from '../config/flags.js'
import { decode, readConfig } from '../config/load.js'
import { ROLE_NAMES, isRoleName } from './role-names.js'
import { ROLES } from './run-role.js'

const USAGE = `Usage: shoal config check ROLE FILE [SECRETS-FILE]    ROLE is ${ROLE_NAMES.join(', ')}`

/**
 * Reads a role's file and says what is wrong with it.
 * @returns the exit code: 0, also if there are unknown keys
 * @throws UsageError, or AppError CONFIG_INVALID if the role would not start with it
 */
export function checkConfig (args: readonly string[], write: (line: string) => void): number {
  const [action, role = '', file, secrets] = args
  if (action !== 'check' || !isRoleName(role) || file === undefined || args.length > 4) throw new UsageError(USAGE, 2)
  const { warnings, unused } = decode(ROLES[role].file, readConfig(file, secrets))
  for (const warning of warnings) write(`warning: ${warning}`)
  if (unused.length > 0) write(`without effect: ${unused.join(', ')}`)
  write(`${file} is fine for ${role === 'agent' || role === 'origin' ? 'an' : 'a'} ${role}.`)
  return 0
}
