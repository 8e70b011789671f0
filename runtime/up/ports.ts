import { createServer, type Server } from 'node:net'
import { AppError, systemCodeOf } from '../core/errors.js'

/** Problems named in one message. */
const NAMED_MAX = 4

/**
 * Makes sure that each port can be listened on, before anything is started.
 * @throws AppError UNAVAILABLE naming those that cannot, and what to do
 */
export async function checkPorts (ports: ReadonlyArray<{ readonly port: number, readonly use: string }>): Promise<void> {
  const found = await Promise.all(ports.map(async ({ port, use }) => {
    if (port > 65_535) return `${port} (${use}) is no port`
    const code = await bindCode(port)
    if (code === undefined) return []
    return code === 'EADDRINUSE' ? `port ${port} (${use}) is taken` : `port ${port} (${use}) cannot be listened on (${code})`
  }))
  const problems = found.flat()
  if (problems.length === 0) return
  const more = problems.length > NAMED_MAX ? ` and ${problems.length - NAMED_MAX} more` : ''
  throw new AppError('UNAVAILABLE', `nothing was started, because ${problems.slice(0, NAMED_MAX).join(', ')}${more}. ` +
    'If another "shoal up" is running, stop it; "ss -ltnp" shows which program listens where. ' +
    'Or use other ports: "shoal up --port-offset 1000", or "--free-ports" for any')
}

/** Ports that nobody listens on at this moment, all different. */
export async function freePorts (count: number): Promise<number[]> {
  const servers = await Promise.all([...Array(count).keys()].map(async () => await listen(0)))
  const ports = servers.map(portOf)
  await Promise.all(servers.map(close))
  return ports
}

/** Why the port cannot be listened on, or undefined if it can. */
async function bindCode (port: number): Promise<string | undefined> {
  try {
    await close(await listen(port))
    return undefined
  } catch (error) {
    return systemCodeOf(error) ?? 'unknown reason'
  }
}

/** On all interfaces, as the roles do, so that a listener on any of them is noticed. */
async function listen (port: number): Promise<Server> {
  return await new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen({ port, exclusive: true }, () => { resolve(server) })
  })
}

function portOf (server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function close (server: Server): Promise<void> {
  await new Promise<void>(resolve => { server.close(() => { resolve() }) })
}
