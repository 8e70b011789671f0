/** The value, or a failed test: for what a test knows to be there. */
export function must<T> (value: T | undefined | null, what = 'the value'): T {
  if (value === undefined || value === null) throw new Error(`${what} is missing`)
  return value
}
