import { route } from './route.js'

/** The proxy's own endpoints, beside its registry (http-api specification 4.1). */
export const proxyApi = {
  health: route('GET', '/health'),
  readiness: route('GET', '/readiness'),
  notifications: route('POST', '/registry/notifications'),
  catalog: route('GET', '/v2/_catalog')
} as const
