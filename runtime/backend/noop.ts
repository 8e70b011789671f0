import { type BackendClient } from './backend.js'

/** The namespace of blobs that live on the origins alone (cluster specification 5.1). */
export const NOOP_NAMESPACE = '__noop__'

/** Takes everything, keeps nothing. */
export const noopClient: BackendClient = {
  kind: 'noop',
  canUpload: true,
  canList: true,
  canResume: false,
  stat: async () => undefined,
  download: async () => undefined,
  upload: async () => {},
  list: async () => ({ names: [], next: undefined }),
  checkReadiness: async () => {},
  close: async () => {}
}
