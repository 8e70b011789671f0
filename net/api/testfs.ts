import { route } from './route.js'

/** The file server for development (http-api specification 10). */
export const testfsApi = {
  health: route('GET', '/health'),
  stat: route('HEAD', '/files/*'),
  download: route('GET', '/files/*'),
  upload: route('POST', '/files/*'),
  list: route('GET', '/list/*')
} as const
