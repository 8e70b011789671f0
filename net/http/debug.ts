import { debugApi } from '../api/debug.js'
import { type Reply } from './engine.js'
import { json } from './reply.js'
import { type Router } from './router.js'

/**
 * Adds what every server tells about its process: `/debug/vars`, where the tools of Go programs look for it (http-api
 * specification 1.7), with the members that they know.
 */
export function withDebug (router: Router): Router { return router.on(debugApi.vars, vars) }

function vars (): Reply {
  const { rss, heapTotal, heapUsed, external, arrayBuffers } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  const reply = json({
    cmdline: process.argv,
    // Bytes, by the names that Go gives to what is most alike.
    memstats: { Alloc: heapUsed, HeapAlloc: heapUsed, HeapSys: heapTotal, Sys: rss },
    node: {
      version: process.version,
      uptime_seconds: process.uptime(),
      cpu_user_seconds: user / 1e6,
      cpu_system_seconds: system / 1e6,
      external_bytes: external,
      array_buffers_bytes: arrayBuffers
    }
  }, { newline: true, type: 'application/json; charset=utf-8' })
  return { ...reply, headers: { ...reply.headers, 'Cache-Control': 'no-cache' } }
}
