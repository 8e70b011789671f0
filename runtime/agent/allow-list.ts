import { BlockList } from 'node:net'
import { type Handler, type Reply } from '../../net/http/engine.js'
import { text } from '../../net/http/reply.js'
import { type Source } from '../config/sections/allowed.js'

/** Refuses whoever does not ask from one of these sources (http-api specification 2.1); without any, everybody may. */
export function onlyFrom (sources: readonly Source[], handler: Handler): Handler {
  if (sources.length === 0) return handler
  const allowed = new BlockList()
  for (const { address, prefixBits, family } of sources) allowed.addSubnet(address, prefixBits, family)
  return request => {
    const { remoteAddress } = request
    return allowed.check(remoteAddress, remoteAddress.includes(':') ? 'ipv6' : 'ipv4') ? handler(request) : refusal(remoteAddress)
  }
}

function refusal (address: string): Reply { return text(`${address} may not use this registry (allowed_cidrs in the configuration of the agent)`, 403) }
