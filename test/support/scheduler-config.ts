import { type SchedulerConfig } from '../../runtime/config/sections/scheduler.js'

/** What an agent is shipped with (p2p specification 6.1). */
export const schedulerConfig: SchedulerConfig = {
  seederTtiMs: 300_000,
  leecherTtiMs: 300_000,
  connTtiMs: 30_000,
  connTtlMs: 3_600_000,
  preemptionIntervalMs: 30_000,
  probeTimeoutMs: 3_000,
  connState: { openConnsMax: 10, mutualConnsMax: 10, blacklistMs: 30_000 },
  conn: { handshakeTimeoutMs: 5_000 },
  dispatch: {
    pieceRequestTimeoutMinMs: 4_000,
    pieceRequestTimeoutPerMbMs: 4_000,
    pieceRequestPolicy: 'rarest_first',
    pipelineLimit: 3,
    originPipelineLimit: 5,
    endgameThreshold: 3,
    endgameDisabled: false
  }
}
