/** Chance as an argument: the same seed draws the same numbers. */
export interface Prng {
  /** A number in [0, 1). */
  next (): number
  /** An integer in [0, bound). */
  below (bound: number): number
}

/** sfc32, a small fast generator with 128 bits of state, started from a 32-bit seed. */
export function seededPrng (seed: number): Prng {
  let a = 0x9e3779b9 ^ seed
  let b = 0x243f6a88
  let c = seed | 0
  let counter = 1
  const draw = (): number => {
    const t = (a + b + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + t | 0
    return t >>> 0
  }
  for (let i = 0; i < 12; i++) draw()
  return {
    next: () => draw() / 0x1_0000_0000,
    below: bound => Math.floor(draw() / 0x1_0000_0000 * bound)
  }
}

/** Shuffles in place (Fisher-Yates) and returns the array. */
export function shuffle<T> (items: T[], prng: Prng): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = prng.below(i + 1)
    const held = items[i] as T
    items[i] = items[j] as T
    items[j] = held
  }
  return items
}
