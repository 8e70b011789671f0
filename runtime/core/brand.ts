declare const brand: unique symbol

/** A `T` that was checked in the one place that makes `Name`s; it cannot be mixed up with any other `T`. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name }

/** Marks a branch that no value can reach; a new union member makes its call a compile error. */
export function assertNever (value: never): never {
  throw new Error(`unreachable case: ${JSON.stringify(value)}`)
}
