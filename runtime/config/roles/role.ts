import { AppError } from '../../core/errors.js'
import { type Flags, type FlagValues, intFlag, parseFlags, stringFlag } from '../flags.js'
import { decode, readConfig } from '../load.js'
import { type Section } from '../schema.js'
import { type LogLevel } from '../sections/common.js'

/** What a role knows about the machine it runs on, handed in. */
export interface HostIdentity {
  /** By which other hosts reach this one, where `--peer-ip` does not say it (cluster specification 2.5). */
  readonly ip: string
  /** The host name of the operating system. */
  readonly name: string
}

/** A role's configuration, ready to start it. */
export interface LoadedRole<C> {
  readonly config: C
  readonly logLevel: LogLevel
  /** Keys that nobody knows, one sentence each. */
  readonly warnings: readonly string[]
  /** Keys that are known and have no effect. */
  readonly unused: readonly string[]
}

/** A role as it is started: its flags, its file, and how both make a configuration. */
export interface Role<C> {
  readonly name: string
  readonly flags: Flags
  readonly file: Section<unknown>
  /** @throws UsageError, or AppError CONFIG_INVALID */
  load (args: readonly string[], host: HostIdentity): LoadedRole<C>
}

/** What every role's file says about its log. */
interface Logged { readonly log: { readonly level: LogLevel } }

const COMMON_FLAGS = {
  config: stringFlag('YAML file with the configuration.'),
  secrets: stringFlag('Second YAML file, laid over the first.'),
  cluster: stringFlag('Name of the cluster.'),
  'mutex-profile-fraction': intFlag('Accepted for compatibility; has no effect.')
}

/** Puts a role together. `required` names the ports without which it cannot start; the others may be 0. */
export function role<C, F extends Flags, T extends Logged> (definition: {
  name: string
  flags: F
  required: ReadonlyArray<keyof F & string>
  file: Section<T>
  make: (flags: FlagValues<F> & FlagValues<typeof COMMON_FLAGS>, file: T, host: HostIdentity) => C
}): Role<C> {
  const { name, required, file, make } = definition
  const flags: Flags = { ...definition.flags, ...COMMON_FLAGS }
  const load = (args: readonly string[], host: HostIdentity): LoadedRole<C> => {
    const values = parseFlags(`shoal ${name}`, definition.flags, COMMON_FLAGS, args)
    for (const flag of Object.keys(definition.flags)) checkPorts(flag, values[flag], required.includes(flag))
    if (values.config === '') throw new AppError('CONFIG_INVALID', '--config is required: the YAML file of this role')
    const { value, warnings, unused } = decode(file, readConfig(values.config, values.secrets))
    return { config: make(values, value, host), logLevel: value.log.level, warnings, unused }
  }
  return { name, flags, file, load }
}

/** Every integer among a role's own flags is a port. */
function checkPorts (flag: string, value: unknown, isRequired: boolean): void {
  const ports: unknown[] = Array.isArray(value) ? value : [value]
  if (isRequired && (ports.length === 0 || ports[0] === 0)) throw new AppError('CONFIG_INVALID', `--${flag} is required: a port from 1 to 65535`)
  for (const port of ports) {
    if (typeof port === 'number' && (port < (isRequired ? 1 : 0) || port > 65_535)) {
      throw new AppError('CONFIG_INVALID', `--${flag} ${port} is no port: expected an integer from ${isRequired ? 1 : 0} to 65535`)
    }
  }
}
