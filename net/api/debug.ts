import { route } from './route.js'

/** What every server tells about its process (http-api specification 1.7). */
export const debugApi = {
  vars: route('GET', '/debug/vars', 'Numbers of the process.')
} as const
