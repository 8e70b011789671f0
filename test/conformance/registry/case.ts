import { messageOf } from '../../../runtime/core/errors.js'
import { type Subject, Unsupported } from './subject.js'

/** The parts of the distribution specification; a registry may leave some out. */
export type Category = 'pull' | 'push' | 'discovery' | 'management' | 'read-only'

/** One thing that a registry must do. */
export interface Case {
  readonly category: Category
  /** What must hold, as a sentence. */
  readonly title: string
  /** @throws Unsupported, or anything else for a failure */
  run (subject: Subject): Promise<void>
}

export interface Outcome {
  readonly category: Category
  readonly title: string
  readonly result: 'passed' | 'failed' | 'unsupported'
  /** Why it did not pass. */
  readonly reason?: string
}

/** Runs the cases one after the other, as far as they are of these categories. */
export async function * runCases (subject: Subject, cases: readonly Case[], categories: readonly Category[]): AsyncGenerator<Outcome> {
  for (const { category, title, run } of cases.filter(({ category }) => categories.includes(category))) {
    try {
      await run(subject)
      yield { category, title, result: 'passed' }
    } catch (error) {
      yield { category, title, result: error instanceof Unsupported ? 'unsupported' : 'failed', reason: messageOf(error) }
    }
  }
}

/** Makes the cases of one category out of their titles. */
export function casesOf (category: Category, cases: Readonly<Record<string, Case['run']>>): Case[] {
  return Object.entries(cases).map(([title, run]) => ({ category, title, run }))
}
