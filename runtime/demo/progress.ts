const BAR_CHARACTERS = 28
/** Redrawing more often than this only costs. */
const REDRAW_MS = 50
const MIB = 1024 * 1024

/** Where progress is shown. */
export interface Screen {
  readonly isTTY?: boolean | undefined
  write (text: string): unknown
}

interface Bar { readonly label: string, readonly totalBytes: number, bytes: number, quartersSaid: number }

/**
 * Bars that grow side by side on a terminal; elsewhere a plain line at each quarter.
 *
 *   agent-1 [##########..................]  72 / 200 MiB
 */
export class Progress {
  readonly #bars: Bar[] = []
  #drawnAt = -Infinity
  #linesDrawn = 0

  constructor (readonly screen: Screen, readonly now: () => number = () => performance.now()) {}

  /** Adds a bar; the function returned makes it grow. */
  add (label: string, totalBytes: number): (byteCount: number) => void {
    const bar = { label, totalBytes, bytes: 0, quartersSaid: 0 }
    this.#bars.push(bar)
    return byteCount => {
      bar.bytes += byteCount
      if (this.screen.isTTY === true) this.#draw(false)
      else this.#say(bar)
    }
  }

  /** Draws the last state. */
  end (): void { if (this.screen.isTTY === true) this.#draw(true) }

  #draw (isLast: boolean): void {
    const now = this.now()
    if (!isLast && now - this.#drawnAt < REDRAW_MS) return
    this.#drawnAt = now
    const back = this.#linesDrawn === 0 ? '' : `\x1b[${this.#linesDrawn}A`
    this.#linesDrawn = this.#bars.length
    const labelWidth = Math.max(...this.#bars.map(bar => bar.label.length))
    this.screen.write(back + this.#bars.map(bar => `\x1b[2K${lineOf(bar, labelWidth)}\n`).join(''))
  }

  #say (bar: Bar): void {
    const quarters = Math.floor(4 * fractionOf(bar))
    if (quarters <= bar.quartersSaid) return
    bar.quartersSaid = quarters
    this.screen.write(`  ${bar.label}: ${25 * quarters} %\n`)
  }
}

function lineOf (bar: Bar, labelWidth: number): string {
  const filled = Math.round(BAR_CHARACTERS * fractionOf(bar))
  const mib = (bytes: number): string => (bytes / MIB).toFixed(0)
  return `  ${bar.label.padEnd(labelWidth)} [${'#'.repeat(filled)}${'.'.repeat(BAR_CHARACTERS - filled)}] ${mib(bar.bytes)} / ${mib(bar.totalBytes)} MiB`
}

function fractionOf ({ bytes, totalBytes }: Bar): number { return totalBytes === 0 ? 1 : Math.min(bytes / totalBytes, 1) }
