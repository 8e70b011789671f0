import { z } from 'zod'
import { type Secret } from './secret.js'
import {
  type Below, type Bounds, type KnownKey, type Shape,
  addressShape, boolShape, choiceShape, durationShape, intShape, isPlainObject, listShape, mapShape, nameShape, regexShape,
  secretShape, sizeShape, textShape
} from './shapes.js'
import { formatDuration, formatSize, parseDuration, parseSize } from './values.js'

/*
 * The configuration, declared once: a section is a block of YAML keys, and from its declaration come the types, the
 * defaults, the checks and the reference page.
 *
 *   YAML key         field                     value that the program is handed
 *   max_open_conn:   int({ as: 'openConnsMax', default: 10, min: 1, doc: '...' })   { openConnsMax: 10 }
 *
 * Absent means default. So does a zero (0, '', empty list) where zero is out of the field's bounds, since that is how
 * Kraken's files say it (cluster specification 9.1); within the bounds zero means zero. A field without a default is
 * required.
 */

/** A YAML key with a value. */
export interface Field<As extends string, T> extends KnownKey {
  readonly as: As
  readonly schema: z.ZodType<T>
  readonly doc: string
  readonly kind: string
  /** The default as the reference page prints it; undefined if the field is required. */
  readonly fallback: string | undefined
  /** The sibling whose value is the default. */
  readonly sameAs?: string | undefined
}

/** A key that Kraken has and that may be set, yet changes nothing here. */
export interface UnusedField extends KnownKey { readonly unused: true, readonly doc: string }

export type Fields = Readonly<Record<string, Field<string, unknown> | UnusedField>>

/** What a block of keys is read into. */
export type Values<F extends Fields> = {
  readonly [K in keyof F as F[K] extends Field<infer As, unknown> ? As : never]: F[K] extends Field<string, infer T> ? T : never
}

export interface Section<T> extends Shape<T> { readonly fields: Fields }
export type Infer<S> = S extends Section<infer T> ? T : never

/** Says that the values of a section contradict each other; `key` is the YAML key to name, if it is one. */
export type Complain = (message: string, key?: string) => void

/** A block of keys. */
export function section<F extends Fields> (fields: F): Section<Values<F>>
/** A block of keys whose values are checked against each other, or combined, by `finish`. */
export function section<F extends Fields, T> (fields: F, finish: (values: Values<F>, complain: Complain) => T): Section<T>
export function section<F extends Fields> (
  fields: F, finish: (values: Values<F>, complain: Complain) => unknown = values => values
): Section<unknown> {
  const used = Object.entries(fields).flatMap(([key, field]) => isUnused(field) ? [] : [[key, field] as const])
  const shape = Object.fromEntries(used.map(([key, field]) => [key, field.schema]))
  const block = z.object(shape, { error: 'expected a block of keys' }).transform((read, context) => {
    const values: Record<string, unknown> = {}
    for (const [key, field] of used) values[field.as] = read[field.sameAs === undefined ? key : read[key] === undefined ? field.sameAs : key]
    // The mapped type says what the loop above does; the compiler cannot follow it.
    return finish(values as Values<F>, (message, key) => {
      context.addIssue({ code: 'custom', message, path: key === undefined ? [] : [key] })
    })
  })
  // Every key is filled in, so that the reader of an absent one runs too and supplies its default.
  const schema = z.preprocess(raw => raw === null || raw === undefined ? fill({}) : isPlainObject(raw) ? fill(raw) : raw, block)
  const fill = (raw: Readonly<Record<string, unknown>>): object =>
    Object.fromEntries(used.map(([key]) => [key, Object.hasOwn(raw, key) ? raw[key] : undefined]))
  return { schema, fields, accepts: 'a block of keys', kind: 'block', below: { each: false, keys: fields } }
}

interface Named<As extends string> { readonly as: As, readonly doc: string }
/** A default is stated as in the file; `sameAs` names the sibling that lends its value. Neither: the field is required. */
type Defaulted<D> =
  | { readonly default: D, readonly sameAs?: never }
  | { readonly sameAs: string, readonly default?: never }
  | { readonly default?: never, readonly sameAs?: never }

export function int<const As extends string> (options: Named<As> & Bounds & Defaulted<number>): Field<As, number> {
  return field(options, intShape(options), options.default, String(options.default))
}

/** Bytes; the default is spelt as in the file, bounds are bytes. */
export function size<const As extends string> (options: Named<As> & Bounds & Defaulted<string>): Field<As, number> {
  const bytes = parseSize(options.default)
  return field(options, sizeShape(options), bytes, bytes === undefined ? '' : formatSize(bytes))
}

/** Milliseconds; the default is spelt as in the file, bounds are milliseconds. */
export function duration<const As extends string> (options: Named<As> & Bounds & Defaulted<string>): Field<As, number> {
  const ms = parseDuration(options.default)
  return field(options, durationShape(options), ms, ms === undefined ? '' : formatDuration(ms))
}

export function bool<const As extends string> (options: Named<As> & { default: boolean }): Field<As, boolean> {
  return field(options, boolShape(), options.default, String(options.default))
}

/** Text that is required and not empty. */
export function text<const As extends string> (options: Named<As>): Field<As, string> {
  return field(options, textShape(), undefined, '')
}

/** Text that may be left out. */
export function optionalText<const As extends string> (options: Named<As>): Field<As, string | undefined> {
  return { ...optional(textShape()), as: options.as, doc: options.doc }
}

/** `host:port` that may be left out. */
export function optionalAddress<const As extends string> (options: Named<As>): Field<As, string | undefined> {
  return { ...optional(addressShape()), as: options.as, doc: options.doc }
}

/** `host:port` of a DNS name, or the name of a service, that may be left out. */
export function optionalName<const As extends string> (options: Named<As>): Field<As, string | undefined> {
  return { ...optional(nameShape()), as: options.as, doc: options.doc }
}

export function secret<const As extends string> (options: Named<As>): Field<As, Secret | undefined> {
  return { ...optional(secretShape()), as: options.as, doc: options.doc }
}

export function choice<const As extends string, const C extends string> (
  options: Named<As> & { of: readonly C[], default?: NoInfer<C> }
): Field<As, C> {
  return field(options, choiceShape(options.of), options.default, options.default ?? '')
}

export function regex<const As extends string> (options: Named<As>): Field<As, RegExp> {
  return field(options, regexShape(), undefined, '')
}

/** A list; empty by default, required if it must have `min` elements. */
export function list<const As extends string, T> (options: Named<As> & { of: Shape<T>, min?: number }): Field<As, readonly T[]> {
  const { min = 0 } = options
  return field(options, listShape(options.of, min), min > 0 ? undefined : [], 'none')
}

/** A map as pairs in the order of the file; required if it must have `min` entries. */
export function map<const As extends string, K, V> (
  options: Named<As> & { key: Shape<K>, value: Shape<V>, min?: number }
): Field<As, ReadonlyArray<readonly [K, V]>> {
  const { min = 0 } = options
  return field(options, mapShape(options.key, options.value, min), min > 0 ? undefined : [], 'none')
}

/** A block within a block; its own fields say what is required. */
export function nested<const As extends string, T> (as: As, of: Section<T>, doc: string): Field<As, T> {
  return { as, schema: of.schema, doc, kind: of.kind, fallback: '', below: of.below }
}

/** A block that may be left out as a whole. */
export function optionalNested<const As extends string, T> (as: As, of: Section<T>, doc: string): Field<As, T | undefined> {
  return { ...optional(of), as, doc, fallback: 'none' }
}

/** `host:port`. */
export function address<const As extends string> (options: Named<As>): Field<As, string> {
  return field(options, addressShape(), undefined, '')
}

/** A key of Kraken's that is accepted with anything below it, and has no effect. */
export function unused (doc: string): UnusedField { return { unused: true, opaque: true, doc } }

export function isUnused (field: KnownKey): field is UnusedField { return 'unused' in field }

function field<As extends string, T> (
  options: Named<As> & { readonly sameAs?: string | undefined }, shape: Shape<T>, fallback: T | undefined, fallbackText: string
): Field<As, T> {
  const { as, doc, sameAs } = options
  const isRequired = fallback === undefined && sameAs === undefined
  const schema = z.unknown().transform((raw, context): T => {
    const read = shape.schema.safeParse(raw)
    // With `sameAs` the section puts the sibling's value where this undefined is.
    if (isAbsent(raw) || (!read.success && isZero(raw))) {
      if (!isRequired) return fallback as T
      context.addIssue({ code: 'custom', message: `required: expected ${shape.accepts}` })
      return z.NEVER
    }
    if (read.success) return read.data
    for (const issue of read.error.issues) context.addIssue({ code: 'custom', message: issue.message, path: issue.path })
    return z.NEVER
  })
  return { as, doc, schema, sameAs, kind: shape.kind, below: shape.below, fallback: isRequired ? undefined : sameAs === undefined ? fallbackText : `= ${sameAs}` }
}

function optional<T> (shape: Shape<T>): { schema: z.ZodType<T | undefined>, kind: string, fallback: string, below: Below | undefined } {
  const schema = z.preprocess(raw => isAbsent(raw) || raw === '' ? undefined : raw, shape.schema.optional())
  return { schema, kind: shape.kind, fallback: 'none', below: shape.below }
}

function isAbsent (raw: unknown): boolean { return raw === undefined || raw === null }

function isZero (raw: unknown): boolean {
  return raw === 0 || raw === '' || (typeof raw === 'object' && raw !== null && Object.keys(raw).length === 0)
}
