/*
 * Numbers and truth values in headers and queries, read the way the reference reads them and refused in its words
 * (http-api specification 5.3, 5.4). Clients log these texts, and some compare them.
 */

/** What reading a value came to: the value, or the reason in the reference's words. */
export type GoRead<T> = { readonly value: T } | { readonly fault: string }

const INT64_MAX = 2n ** 63n - 1n

/**
 * Reads a decimal int64 with an optional sign. Values beyond what a double holds exactly are taken to the nearest one,
 * which is beyond every limit of ours anyway.
 */
export function readGoInt (text: string): GoRead<number> {
  const quoted = JSON.stringify(text)
  if (!/^[+-]?[0-9]+$/.test(text)) return { fault: `strconv.ParseInt: parsing ${quoted}: invalid syntax` }
  const digits = text.replace(/^[+-]?0*/, '')
  const isTooLong = digits.length > 19
  const magnitude = isTooLong ? INT64_MAX + 2n : BigInt(digits === '' ? '0' : digits)
  const isNegative = text.startsWith('-')
  if (magnitude > (isNegative ? INT64_MAX + 1n : INT64_MAX)) return { fault: `strconv.ParseInt: parsing ${quoted}: value out of range` }
  return { value: isNegative ? -Number(magnitude) : Number(magnitude) }
}

/** Reads one of `1 t T TRUE true True 0 f F FALSE false False`. */
export function readGoBool (text: string): GoRead<boolean> {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return { value: true }
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return { value: false }
  return { fault: `strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax` }
}
