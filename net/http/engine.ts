/*
 * What an HTTP server is to the rest of the program. `uws.ts` implements it with uWebSockets.js; nothing outside that
 * file knows which server it is.
 */

/** A request as it came in. Everything but the body is copied out before the handler runs and stays valid. */
export interface HttpRequest {
  /** Upper case. */
  readonly method: string
  /** The path before `?`, undecoded: with its escapes, dots and double slashes. */
  readonly rawPath: string
  /** What stands behind `?`, undecoded; '' if there is none. */
  readonly rawQuery: string
  /** The value of a header by its lower-case name. */
  header (name: string): string | undefined
  /** Of the client, as text; '' for a unix socket. */
  readonly remoteAddress: string
  /** Aborted when the client goes away before the answer is complete. */
  readonly signal: AbortSignal
  readonly body: RequestBody
}

/** Where body bytes go. */
export interface BodySink {
  /**
   * Takes one chunk. The view is borrowed: it is valid only until this returns. A promise makes the client wait, and no
   * further chunk comes before it resolves.
   */
  write (chunkView: Uint8Array): void | Promise<void>
}

export interface RequestBody {
  /**
   * Collects the whole body.
   * @throws AppError BODY_TOO_LARGE beyond `bytesMax`, CANCELLED if the client goes away
   */
  bytes (bytesMax: number): Promise<Uint8Array>
  /**
   * Streams the body into the sink and returns how many bytes there were.
   * @throws AppError BODY_TOO_LARGE beyond `bytesMax`, CANCELLED if the client goes away midway, and what the sink throws
   */
  pipe (sink: BodySink, bytesMax?: number): Promise<number>
}

/** A body that is not in memory. */
export interface BodySource {
  /** Exact size; the connection is aborted if the chunks do not add up to it. */
  readonly lengthBytes: number
  /** The bytes in order. A yielded view may be reused once the next one is asked for. `return()` is called on an abort. */
  chunks (): AsyncIterable<Uint8Array>
}

/** An answer. Headers are written as given, in this order; Content-Length is the engine's business. */
export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** A header with several values, each on a line of its own, behind the others. */
  readonly repeated?: { readonly name: string, readonly values: readonly string[] }
  readonly body?: string | Uint8Array | BodySource
  /** For HEAD: the Content-Length to state without sending a body. */
  readonly headLengthBytes?: number
}

export type Handler = (request: HttpRequest) => Promise<Reply> | Reply

export interface HttpServer {
  /** The port that is really listened on, also when 0 was asked for. */
  readonly port: number
  /** Stops accepting, lets running requests finish for at most `drainMs`, then cuts them off. Idempotent. */
  close (drainMs?: number): Promise<void>
}

/** A certificate, its key, and whose certificates clients may show; all as PEM. */
export interface ServerTls {
  readonly cert: string
  readonly key: string
  readonly passphrase?: string
  readonly authorities: readonly string[]
}

export interface ListenOptions {
  /** Default all interfaces. */
  readonly host?: string
  /** 0 for a free one. */
  readonly port: number
  /** Larger bodies get 413 before the handler sees them. */
  readonly bodyBytesMax: number
  /** HTTPS instead of plain HTTP, with http-api specification 2.2's rule on who must show a certificate. */
  readonly tls?: ServerTls | undefined
  /** Told of what no reply can tell any more: a body that failed midway, a handler that threw. For logs. */
  readonly onFailure?: (error: unknown, event: string) => void
}

export type Listen = (handler: Handler, options: ListenOptions) => Promise<HttpServer>
