/**
 * Runs `work` for every item, at most `limit` of them at a time. The first failure is thrown; what was running then is
 * waited for, and nothing further is begun.
 */
export async function forEachLimited<T> (items: Iterable<T>, limit: number, work: (item: T) => Promise<void>): Promise<void> {
  const iterator = items[Symbol.iterator]()
  const failures: unknown[] = []
  const lane = async (): Promise<void> => {
    for (let next = iterator.next(); next.done !== true && failures.length === 0; next = iterator.next()) {
      await work(next.value).catch((error: unknown) => { failures.push(error) })
    }
  }
  await Promise.all(Array.from({ length: limit }, lane))
  if (failures.length > 0) throw failures[0]
}
