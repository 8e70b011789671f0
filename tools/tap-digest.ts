/** How a whole run went. A skipped or unwritten test is no pass. */
export interface Totals { readonly passed: number, readonly failed: number, readonly skipped: number }

const FILE_RESULT = /^(ok|not ok) \d+ - (.*?)(?: # (.*))?$/
/** Lines of a failing file that help nobody to find the failure. */
const NO_NEWS = /^ *(ok \d+.*|\d+\.\.\d+.*)?$/
const SUMMARY = /^# \{ total: \d+(.*) \}$/

/**
 * Shortens the TAP stream of a run to what a person reads: a line for each file, and of a file that fails everything but
 * what passed.
 *
 *   # Subtest: a.test.js           <- dropped
 *       ok 1 - ...                 <- kept until the file's result is known
 *   not ok 1 - a.test.js           <- printed, after what was kept
 *     ---                          <- details of the result: printed up to the next file
 *   # { total: 3, pass: 2, fail: 1 }   <- the totals over all assertions
 */
export class TapDigest {
  #kept: string[] = []
  #isFailing = false
  #fileCount = 0
  #failedFileCount = 0
  #totals: Totals | undefined

  constructor (readonly print: (line: string) => void) {}

  line (line: string): void {
    const result = FILE_RESULT.exec(line)
    if (result !== null) return this.#file(result[1] === 'ok', result[2] ?? '', result[3] ?? '')
    const summary = SUMMARY.exec(line)
    if (summary !== null) this.#totals = readTotals(summary[1] ?? '')
    else if (line.startsWith('# Subtest: ')) this.#isFailing = false
    else if (line.startsWith('    ')) this.#kept.push(line)
    else if (this.#isFailing || line.startsWith('Bail out!')) this.print(line)
  }

  /**
   * The totals, which are never good if the run was not.
   * @param fault - how the runner itself failed, '' if it did not
   * @param fileCount - how many files were to be run
   */
  end (fault: string, fileCount: number): Totals {
    const { passed, failed, skipped } = this.#totals ?? { passed: 0, failed: 0, skipped: 0 }
    const missing = Math.max(0, fileCount - this.#fileCount)
    if (missing > 0) this.print(`${missing} of ${fileCount} files did not report a result`)
    if (fault !== '' && failed === 0) this.print(`the test runner ${fault}`)
    const least = Math.max(this.#failedFileCount, fault === '' ? 0 : 1)
    return { passed, failed: Math.max(failed, least) + missing, skipped }
  }

  #file (isOk: boolean, name: string, comment: string): void {
    this.#fileCount++
    this.#isFailing = !isOk
    if (!isOk) {
      this.#failedFileCount++
      for (const line of this.#kept) if (!NO_NEWS.test(line)) this.print(line)
    }
    this.#kept = []
    const took = comment.replace(/^time=/, '')
    this.print(`${isOk ? 'ok    ' : 'NOT OK'} ${name}${took === '' ? '' : ` (${took})`}`)
  }
}

function readTotals (text: string): Totals {
  const count = (key: string): number => Number(new RegExp(`\\b${key}: (\\d+)`).exec(text)?.[1] ?? 0)
  return { passed: count('pass'), failed: count('fail'), skipped: count('skip') + count('todo') }
}
