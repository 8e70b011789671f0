/** The names between braces in a path template. */
type ParamNames<Path extends string> =
  Path extends `${string}{${infer Name}}${infer Rest}` ? Name | ParamNames<Rest> : never

export type Params<Path extends string> = Readonly<Record<ParamNames<Path>, string>>

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** One row of a route table: what servers match and what clients call. A `{param}` takes exactly one path segment. */
export interface Route<Path extends string = string> {
  readonly method: Method
  /** `*` at its end takes the rest of the path, slashes and all; the client passes it ready-made. */
  readonly path: Path
  /** What it is for, a sentence of the page docs/api.md. */
  readonly doc: string
}

export function route<const Path extends string> (method: Method, path: Path, doc = ''): Route<Path> { return { method, path, doc } }

/** The path of a call, each parameter escaped as one segment (http-api specification 1.2). */
export function pathOf<Path extends string> (target: Route<Path>, params: Params<Path>): string {
  const values: Readonly<Record<string, string>> = params
  return target.path.replace(/\{(\w+)\}/g, (_, name: string) => escapeSegment(values[name] ?? ''))
}

/** Go's `url.PathEscape`: `- _ . ~ $ & + = : @` stay, slashes and everything else are escaped. */
export function escapeSegment (text: string): string {
  return encodeURIComponent(text)
    .replace(/[!*'()]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replace(/%(24|26|2B|3A|3D|40)/g, escaped => decodeURIComponent(escaped))
}
