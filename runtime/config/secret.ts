import { inspect } from 'node:util'

const MASK = '***'

/** A value that must not end up in a log: whatever prints it prints `***`. */
export class Secret {
  readonly #value: string

  constructor (value: string) { this.#value = value }

  /** The value itself, for the one place that needs it. */
  reveal (): string { return this.#value }
  toString (): string { return MASK }
  toJSON (): string { return MASK }
  [inspect.custom] (): string { return MASK }
}
