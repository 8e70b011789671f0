import { join } from 'node:path'
import { type System } from './up.js'

const HOST = '127.0.0.1'
const IMAGE = 'demo/hello:v1'

/**
 * What a person needs to know once a system is ready: where to push and pull, with commands to paste, and where things are.
 * @param sample - an image that is on this machine, as image tools name it
 */
export function readyPage ({ plan, dataDir, members }: Pick<System, 'plan' | 'dataDir' | 'members'>, sample: string, tookMs: number): string {
  const { proxy, origins, tracker, buildIndex, agents } = plan
  const push = `${HOST}:${proxy.port}`
  const pull = `${HOST}:${agents[0]?.registryPort ?? ''}`
  return `
shoal is up: ${members.length} processes, ready in ${(tookMs / 1000).toFixed(1)} s

  push to     ${push}   proxy
  pull from   ${agents.map(({ registryPort }, i) => `${HOST}:${registryPort}   agent-${i + 1}`).join('\n              ')}

Push the sample image, with whichever tool you have:
  skopeo copy --dest-tls-verify=false ${sample} docker://${push}/${IMAGE}
  podman push --tls-verify=false $(podman pull -q ${sample}) ${push}/${IMAGE}
  docker tag YOUR-IMAGE ${push}/${IMAGE} && docker push ${push}/${IMAGE}

Pull it through an agent:
  skopeo copy --src-tls-verify=false docker://${pull}/${IMAGE} oci:/tmp/hello:v1
  podman pull --tls-verify=false ${pull}/${IMAGE}
  docker pull ${pull}/${IMAGE}

Also listening on ${HOST}:
  ${[
    `proxy server ${proxy.serverPort}`,
    `tracker ${tracker.port}`,
    `build-index ${buildIndex.port}`,
    ...origins.map(({ peerPort, port }, i) => `origin-${i + 1} ${port} (peers ${peerPort})`),
    ...agents.map(({ peerPort, serverPort }, i) => `agent-${i + 1} server ${serverPort} (peers ${peerPort})`)
  ].join('\n  ')}

Data    ${dataDir}   (kept: the next "shoal up" there serves it again)
Config  ${join(dataDir, 'config', '*.yaml')}   (each says how to run its role alone)
Logs    ${join(dataDir, 'logs', '*.log')}

Ctrl-C stops everything.
`
}
