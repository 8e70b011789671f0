import { route } from './route.js'

/** The proxy's own endpoints, beside its registry (http-api specification 4.1). */
export const proxyApi = {
  health: route('GET', '/health'),
  readiness: route('GET', '/readiness'),
  notifications: route('POST', '/registry/notifications'),
  prefetchV1: route('POST', '/proxy/v1/registry/prefetch'),
  prefetchV2: route('POST', '/proxy/v2/registry/prefetch'),
  catalog: route('GET', '/v2/_catalog')
} as const
