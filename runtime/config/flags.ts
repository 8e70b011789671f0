/*
 * The command line of Kraken's binaries: Go's `flag` syntax (http-api specification 1.1). One or two dashes, `-name value`
 * or `-name=value`; `--` or the first word that is no flag ends the flags.
 */

export interface Flag<T> {
  /** What stands for the value in the usage text. */
  readonly kind: 'string' | 'int' | 'ints' | 'bool'
  readonly doc: string
  readonly initial: T
}
export type Flags = Readonly<Record<string, Flag<unknown>>>
export type FlagValues<F extends Flags> = { readonly [K in keyof F]: F[K] extends Flag<infer T> ? T : never }

/** The command line cannot be used, or only asked for help (`exitCode` 0). `message` ends with the usage text. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  constructor (message: string, readonly exitCode: 0 | 2) { super(message) }
}

export function stringFlag (doc: string, initial = ''): Flag<string> { return { kind: 'string', doc, initial } }
export function intFlag (doc: string, initial = 0): Flag<number> { return { kind: 'int', doc, initial } }
/** True if it is there; `-name=false` is the only way to give it a value. */
export function boolFlag (doc: string): Flag<boolean> { return { kind: 'bool', doc, initial: false } }
/** May be given several times. */
export function intsFlag (doc: string): Flag<readonly number[]> { return { kind: 'ints', doc, initial: [] } }

/**
 * Reads `args`; of a flag that is repeated the last value counts, unless it collects them.
 * @param program - named in the usage text
 * @param own - the flags of this program, listed before those that it shares with others
 * @throws UsageError for an unknown flag, a missing or bad value, or a word that is no flag
 */
export function parseFlags<A extends Flags, B extends Flags> (
  program: string, own: A, shared: B, args: readonly string[]
): FlagValues<A> & FlagValues<B> {
  const flags: Flags = { ...own, ...shared }
  const fail = (message: string): never => { throw new UsageError(`${message}\n${usage(program, flags)}`, 2) }
  const values: Record<string, unknown> = Object.fromEntries(Object.entries(flags).map(([name, flag]) => [name, flag.initial]))
  let at = 0
  while (at < args.length) {
    const word = args[at++] ?? ''
    if (word === '--') break
    const match = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(word)
    const name = match?.[1]
    if (name === undefined) return fail(word.startsWith('-') && word !== '-' ? `bad flag syntax: ${word}` : `unexpected argument: ${word}`)
    if (name === 'h' || name === 'help') throw new UsageError(usage(program, flags), 0)
    const flag = Object.hasOwn(flags, name) ? flags[name] : undefined
    if (flag === undefined) return fail(`flag provided but not defined: -${name}`)
    const text = match?.[2] ?? (flag.kind === 'bool' ? 'true' : args[at++])
    if (text === undefined) return fail(`flag needs an argument: -${name}`)
    if (flag.kind === 'string') {
      values[name] = text
      continue
    }
    const value = flag.kind === 'bool' ? parseGoBool(text) : parseGoInt(text)
    if (value === undefined) return fail(`invalid value "${text}" for flag -${name}: parse error`)
    const collected = values[name]
    values[name] = flag.kind === 'ints' && Array.isArray(collected) ? [...collected, value] : value
  }
  if (at < args.length) return fail(`unexpected argument: ${args[at]}`)
  // Each value was made by the flag of its name.
  return values as FlagValues<A> & FlagValues<B>
}

const PLACEHOLDERS = { string: ' string', int: ' int', ints: ' int', bool: '' } as const

export function usage (program: string, flags: Flags): string {
  const lines = Object.entries(flags).map(([name, flag]) =>
    `  --${name}${PLACEHOLDERS[flag.kind]}\n    \t${flag.doc}${hasInitial(flag) ? ` (default ${String(flag.initial)})` : ''}`)
  return `Usage of ${program}:\n${lines.join('\n')}`
}

function hasInitial ({ kind, initial }: Flag<unknown>): boolean { return kind !== 'ints' && Boolean(initial) }

function parseGoBool (text: string): boolean | undefined {
  if (/^(1|t|true)$/i.test(text)) return true
  return /^(0|f|false)$/i.test(text) ? false : undefined
}

/** Decimal, or with a prefix `0x`, `0o`, `0b`; a leading zero alone makes it octal, as in Go. */
function parseGoInt (text: string): number | undefined {
  const match = /^([+-]?)(0x[0-9a-f]+|0o?[0-7]+|0b[01]+|[1-9]\d*|0)$/i.exec(text)
  if (match === null) return undefined
  const digits = (match[2] ?? '').replace(/^0(?=[0-7])/, '0o')
  const number = Number(digits) * (match[1] === '-' ? -1 : 1)
  return Number.isSafeInteger(number) ? number : undefined
}
