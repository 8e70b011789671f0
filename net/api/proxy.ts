import { route } from './route.js'

/** The proxy's own endpoints, beside its registry (http-api specification 4.1). */
export const proxyApi = {
  health: route('GET', '/health', '200 `OK`.'),
  readiness: route('GET', '/readiness', '200 if a build-index and an origin are ready, 503 and what is missing.'),
  notifications: route('POST', '/registry/notifications', 'Events of a registry: what was pushed is fetched by the origins.'),
  prefetchV1: route('POST', '/proxy/v1/registry/prefetch', 'Has the origins fetch an image.'),
  prefetchV2: route('POST', '/proxy/v2/registry/prefetch', 'The same; 500 names the blobs that could not be.'),
  catalog: route('GET', '/v2/_catalog', 'All repositories, in pages with `?n=` and `?last=`.')
} as const
