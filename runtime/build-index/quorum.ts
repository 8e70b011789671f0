/** Members that make up a majority of `count`. */
export function majorityOf (count: number): number { return Math.floor(count / 2) + 1 }

/** Members of `count` among which there is one of every majority. */
export function readersOf (count: number): number { return count - majorityOf(count) + 1 }

/**
 * Resolves when `isDecided` says so, or when all of `work` has ended; asked after each part of it, and once before.
 * Failures are for `work` itself to note.
 */
export async function untilDecided (work: ReadonlyArray<Promise<unknown>>, isDecided: () => boolean): Promise<void> {
  if (isDecided()) return
  await new Promise<void>(resolve => {
    let left = work.length
    if (left === 0) resolve()
    for (const part of work) {
      void part.catch(() => {}).then(() => {
        left--
        if (left === 0 || isDecided()) resolve()
      })
    }
  })
}
