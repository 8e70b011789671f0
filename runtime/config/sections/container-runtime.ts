import { type Complain, type Infer, choice, nested, optionalText, section, unused } from '../schema.js'

const docker = section({
  docker_host: optionalText({ as: 'host', doc: 'Where the Docker daemon listens, `unix:///path` or `tcp://host:port`; by default `unix:///var/run/docker.sock`.' }),
  docker_scheme: choice({ as: 'scheme', of: ['http'], default: 'http', doc: 'How it is spoken to.' }),
  docker_version: optionalText({ as: 'version', doc: 'Version of its API; by default `1.21`.' }),
  docker_client_headers: unused('Headers of requests to it.')
}, checked)

export interface ContainerdConfig {
  /** Path of a unix socket. */
  readonly address: string
}

/** What pulls images for the preload (http-api specification 3.2). */
export const containerRuntime = section({
  docker: nested('docker', docker, 'Docker.'),
  containerd: nested('containerd', section({
    address: optionalText({ as: 'address', doc: 'Path of its unix socket; by default `/run/containerd/containerd.sock`. The pull is done by its client `ctr`.' })
  }, ({ address }): ContainerdConfig => ({ address: address ?? '/run/containerd/containerd.sock' })), 'containerd.')
})
/** The block's name in older files. */
export const dockerDaemon = docker

export interface DockerConfig {
  /** `unix:///path` or `tcp://host:port`. */
  readonly host: string
  readonly version: string
}

/** What the file says about Docker, in its block or else in the older one. */
export function dockerConfig ({ docker }: Infer<typeof containerRuntime>, older: Infer<typeof dockerDaemon>): DockerConfig {
  return { host: docker.host ?? older.host ?? 'unix:///var/run/docker.sock', version: docker.version ?? older.version ?? '1.21' }
}

function checked<D extends { host: string | undefined, version: string | undefined }> (docker: D, complain: Complain): D {
  const { host, version } = docker
  if (host !== undefined && !/^(unix:\/\/\/.+|tcp:\/\/[^\s:/]+:\d{1,5})$/.test(host)) complain('expected unix:///path or tcp://host:port', 'docker_host')
  if (version !== undefined && !/^\d{1,3}\.\d{1,3}$/.test(version)) complain('expected a version such as 1.41', 'docker_version')
  return docker
}
