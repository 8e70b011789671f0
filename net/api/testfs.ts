import { route } from './route.js'

/** The file server for development (http-api specification 10). */
export const testfsApi = {
  health: route('GET', '/health', '200 `OK`.'),
  stat: route('HEAD', '/files/*', 'Size of a file, in `Size`.'),
  download: route('GET', '/files/*', 'A file.'),
  upload: route('POST', '/files/*', 'Writes a file.'),
  list: route('GET', '/list/*', 'Paths of the files below a prefix.')
} as const
