import { type Infer, bool, choice, duration, int, section } from '../schema.js'

export const dispatch = section({
  piece_request_min_timeout: duration({ as: 'pieceRequestTimeoutMinMs', default: '4s', min: 1, max: 3_600_000, doc: 'A requested piece may take at least this long.' }),
  piece_request_timeout_per_mb: duration({ as: 'pieceRequestTimeoutPerMbMs', default: '4s', min: 1, max: 3_600_000, doc: 'A requested piece may take this long for each MiB that it has.' }),
  piece_request_policy: choice({ as: 'pieceRequestPolicy', of: ['default', 'rarest_first'], default: 'default', doc: 'Which pieces are asked for first: any, or those that the fewest connected peers have.' }),
  pipeline_limit: int({ as: 'pipelineLimit', default: 3, min: 1, max: 1024, doc: 'Pieces requested of one agent at a time, at most.' }),
  origin_pipeline_limit: int({ as: 'originPipelineLimit', default: 5, min: 1, max: 1024, doc: 'Pieces requested of one origin at a time, at most.' }),
  endgame_threshold: int({ as: 'endgameThreshold', sameAs: 'pipeline_limit', min: 1, max: 65_535, doc: 'With this many pieces missing or fewer, a piece may be asked of several peers at once.' }),
  disable_endgame: bool({ as: 'endgameDisabled', default: false, doc: 'Never ask several peers for one piece.' })
})
export type DispatchConfig = Infer<typeof dispatch>
