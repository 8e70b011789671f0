/** What a registry wants to see, from its `WWW-Authenticate`. */
export type Challenge =
  | { readonly scheme: 'basic' }
  | { readonly scheme: 'bearer', readonly realm: string, readonly service: string | undefined, readonly scope: string | undefined }

const HEADER_LENGTH_MAX = 4096

/** Reads the header (RFC 9110, 11.6.1); undefined for schemes that are not known here, and for nonsense. */
export function parseChallenge (header: string | undefined): Challenge | undefined {
  if (header === undefined || header.length > HEADER_LENGTH_MAX) return undefined
  const match = /(?:^|,)\s*(basic|bearer)(?:\s+|$)/i.exec(header)
  if (match === null) return undefined
  if (match[1]?.toLowerCase() === 'basic') return { scheme: 'basic' }
  const parameters = new Map<string, string>()
  for (const [, name = '', quoted, bare] of header.slice(match.index + match[0].length).matchAll(/([a-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/gi)) {
    if (!parameters.has(name.toLowerCase())) parameters.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? bare ?? '')
  }
  const realm = parameters.get('realm')
  if (realm === undefined || !/^https?:\/\//.test(realm) || !URL.canParse(realm)) return undefined
  return { scheme: 'bearer', realm, service: parameters.get('service'), scope: parameters.get('scope') }
}
