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

/** Runs the cases, as far as they are of these categories, `atOnce` at the same time; their outcomes come in order. */
export async function * runCases (
  subject: Subject, cases: readonly Case[], categories: readonly Category[], atOnce = 1
): AsyncGenerator<Outcome> {
  const waiting = cases.filter(({ category }) => categories.includes(category))
  const running: Array<Promise<Outcome>> = []
  while (waiting.length + running.length > 0) {
    while (running.length < atOnce && waiting.length > 0) running.push(...waiting.splice(0, 1).map(async each => await outcomeOf(subject, each)))
    const first = await running.shift()
    if (first !== undefined) yield first
  }
}

async function outcomeOf (subject: Subject, { category, title, run }: Case): Promise<Outcome> {
  try {
    await run(subject)
    return { category, title, result: 'passed' }
  } catch (error) {
    return { category, title, result: error instanceof Unsupported ? 'unsupported' : 'failed', reason: messageOf(error) }
  }
}

/** Makes the cases of one category out of their titles. */
export function casesOf (category: Category, cases: Readonly<Record<string, Case['run']>>): Case[] {
  return Object.entries(cases).map(([title, run]) => ({ category, title, run }))
}
