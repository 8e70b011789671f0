import { type Clock, type Millis } from '../../runtime/core/clock.js'

/** How often requests are looked through. */
const ROUND_MS = 250
/** A request that moves nothing for this long makes us wonder whether its host is there. */
const QUIET_MS = 500
/** If a probe takes so much longer than it may, we were standing still ourselves, and it says nothing about the host. */
const OWN_PAUSE_MS = 300
/** How often a host that is gone is probed, and for how long it is remembered as gone if it never answers. */
const RETURN_MS = 1_000
const FORGET_MS = 60_000
/** A host that refused a connection does so at once the next time, for a while. */
const REFUSED_MS = 2 * RETURN_MS

/** A request under watch. */
export interface WatchedRequest {
  readonly address: string
  /** When something of it last moved, in either direction. */
  movedAt: Millis
  /** Called once, if its host is gone. */
  giveUp (): void
}

export interface LivenessOptions {
  /** `GET /health`, with a short time limit of its own. */
  readonly probe: (address: string) => Promise<boolean>
  /** That time limit. */
  readonly probeMs: number
  readonly clock: Clock
  /** Told when a host that was gone has answered. */
  readonly onReturn: (address: string) => void
}

interface Host { isProbing: boolean, probedAt: Millis, goneSince: Millis | undefined, refusedAt: Millis | undefined }

/**
 * Tells a host that is slow from one that is gone. Work may take its time, a commit of a large blob for instance; but our
 * servers always answer `/health` at once. So when a request stands still its host is asked for its health, and if that
 * is silent too the request is given up, within about 2 s, and somebody else is asked.
 *
 *     well --(connection refused, or a probe missed)--> gone --(a probe answered)--> well
 */
export class Liveness {
  readonly #requests = new Set<WatchedRequest>()
  readonly #hosts = new Map<string, Host>()
  #timer: NodeJS.Timeout | undefined

  constructor (readonly options: LivenessOptions) {}

  /** Begins to watch a request; the function returned ends that. */
  watch (request: WatchedRequest): () => void {
    this.#requests.add(request)
    this.#wind()
    return () => { this.#requests.delete(request) }
  }

  /** A connection to the host could not be made, or broke. */
  failed (address: string): void {
    const host = this.#hostOf(address)
    host.refusedAt = this.options.clock.now()
    host.goneSince ??= host.refusedAt
    this.#wind()
  }

  /** The host has answered something. */
  answered (address: string): void {
    const host = this.#hosts.get(address)
    if (host === undefined) return
    if (host.goneSince === undefined) return
    host.goneSince = undefined
    this.options.onReturn(address)
  }

  isGone (address: string): boolean { return this.#hosts.get(address)?.goneSince !== undefined }

  /** Gone, and asking it again would take time: it refuses no connections, it says nothing. */
  isSilent (address: string): boolean {
    const host = this.#hosts.get(address)
    if (host?.goneSince === undefined) return false
    return host.refusedAt === undefined || this.options.clock.now() - host.refusedAt > REFUSED_MS
  }

  close (): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#requests.clear()
    this.#hosts.clear()
  }

  #wind (): void {
    this.#timer ??= setInterval(() => { this.#round() }, ROUND_MS).unref()
  }

  #round (): void {
    const now = this.options.clock.now()
    const quiet = new Set<string>()
    for (const { address, movedAt } of this.#requests) if (now - movedAt >= QUIET_MS) quiet.add(address)
    for (const address of quiet) {
      const host = this.#hostOf(address)
      if (host.goneSince !== undefined) this.#giveUp(address)
      else if (!host.isProbing) void this.#probe(address, host)
    }
    for (const [address, host] of this.#hosts) {
      if (host.goneSince === undefined) {
        if (!quiet.has(address) && !host.isProbing) this.#hosts.delete(address)
      } else if (now - host.goneSince >= FORGET_MS) this.#hosts.delete(address)
      else if (!host.isProbing && now - host.probedAt >= RETURN_MS) void this.#probe(address, host)
    }
    if (this.#requests.size > 0 || this.#hosts.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  async #probe (address: string, host: Host): Promise<void> {
    host.isProbing = true
    const startedAt = this.options.clock.now()
    const hasAnswered = await this.options.probe(address).catch(() => false)
    host.isProbing = false
    host.probedAt = this.options.clock.now()
    if (hasAnswered) return this.answered(address)
    if (host.probedAt - startedAt <= this.options.probeMs + OWN_PAUSE_MS) host.goneSince ??= host.probedAt
  }

  #giveUp (address: string): void {
    const now = this.options.clock.now()
    for (const request of this.#requests) {
      if (request.address !== address || now - request.movedAt < QUIET_MS) continue
      this.#requests.delete(request)
      request.giveUp()
    }
  }

  #hostOf (address: string): Host {
    const known = this.#hosts.get(address)
    if (known !== undefined) return known
    const host: Host = { isProbing: false, probedAt: 0 as Millis, goneSince: undefined, refusedAt: undefined }
    this.#hosts.set(address, host)
    return host
  }
}
