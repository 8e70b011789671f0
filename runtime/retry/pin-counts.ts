/** How many hold on to what; nothing that nobody holds takes memory. */
export class PinCounts {
  readonly #counts = new Map<string, number>()

  of (pin: string): number { return this.#counts.get(pin) ?? 0 }

  add (pin: string | undefined): void {
    if (pin !== undefined) this.#counts.set(pin, this.of(pin) + 1)
  }

  remove (pin: string | undefined): void {
    if (pin === undefined) return
    const rest = this.of(pin) - 1
    if (rest > 0) this.#counts.set(pin, rest)
    else this.#counts.delete(pin)
  }
}
