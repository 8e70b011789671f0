/** The parts of a peer's behaviour that can be set; Kraken's keys below `scheduler:` (p2p specification 6.1). */
export interface SchedulerConfig {
  readonly seederTtiMs: number
  readonly leecherTtiMs: number
  readonly connTtiMs: number
  readonly connTtlMs: number
  readonly preemptionIntervalMs: number
  readonly probeTimeoutMs: number
  readonly connState: ConnStateConfig
  readonly conn: ConnConfig
  readonly dispatch: DispatchConfig
}

export interface ConnStateConfig {
  readonly openConnsMax: number
  readonly mutualConnsMax: number
  readonly blacklistMs: number
}

export interface ConnConfig {
  readonly handshakeTimeoutMs: number
}

export interface DispatchConfig {
  readonly pieceRequestTimeoutMinMs: number
  readonly pieceRequestTimeoutPerMbMs: number
  readonly pieceRequestPolicy: 'default' | 'rarest_first'
  readonly pipelineLimit: number
  readonly originPipelineLimit: number
  readonly endgameThreshold: number
  readonly endgameDisabled: boolean
}
