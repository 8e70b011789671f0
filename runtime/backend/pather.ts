import { type PatherKind } from '../config/types.js'
import { AppError } from '../core/errors.js'

/*
 * How a name becomes a path in a backend (cluster specification 5.4):
 *
 *   identity              <root>/<name>
 *   docker_tag            <root>/docker/registry/v2/repositories/<repository>/_manifests/tags/<tag>/current/link
 *   sharded_docker_blob   <root>/docker/registry/v2/blobs/sha256/<first 2>/<hex>/data
 *
 * These are the paths of a Docker registry's own storage, so that a bucket can be shared for reading.
 */

/** S3 and file systems take no longer ones. */
const NAME_BYTES_MAX = 1024

export interface Pather {
  /** The folder that holds everything. */
  readonly base: string
  /** @throws AppError NAME_INVALID */
  path (name: string): string
  /** The name that has this path, or undefined if none has. */
  name (path: string): string | undefined
}

/** `root` may begin with a slash, which is kept, and may be empty. */
export function makePather (kind: PatherKind, root: string): Pather {
  const top = root === '' ? '' : `${root.replace(/\/+$/, '')}/`
  switch (kind) {
    case 'identity': return identity(top)
    case 'docker_tag': return dockerTag(`${top}docker/registry/v2/repositories`)
    case 'sharded_docker_blob': return shardedBlob(`${top}docker/registry/v2/blobs`)
  }
}

function identity (start: string): Pather {
  return {
    base: start.replace(/\/$/, ''),
    path: name => start + checked(name),
    name: path => path.startsWith(start) && isUsable(path.slice(start.length)) ? path.slice(start.length) : undefined
  }
}

function dockerTag (base: string): Pather {
  const end = '/current/link'
  return {
    base,
    path: name => {
      const [repository = '', tag = '', ...more] = checked(name).split(':')
      if (repository === '' || tag === '' || tag.includes('/') || more.length > 0) {
        throw new AppError('NAME_INVALID', `name must be in format 'repo:tag' and is ${JSON.stringify(name.slice(0, 256))}`)
      }
      return `${base}/${repository}/_manifests/tags/${tag}${end}`
    },
    name: path => {
      if (!path.startsWith(`${base}/`) || !path.endsWith(end)) return undefined
      const match = /^(.+)\/_manifests\/tags\/([^/:]+)$/.exec(path.slice(base.length + 1, -end.length))
      return match === null ? undefined : `${match[1]}:${match[2]}`
    }
  }
}

function shardedBlob (base: string): Pather {
  const folder = `${base}/sha256/`
  return {
    base,
    path: name => {
      if (!/^[0-9a-zA-Z]{3,128}$/.test(name)) throw new AppError('NAME_INVALID', `name ${JSON.stringify(name.slice(0, 256))} is no hex of a digest`)
      return `${folder}${name.slice(0, 2)}/${name}/data`
    },
    name: path => {
      if (!path.startsWith(folder)) return undefined
      const match = /^(..)\/([^/]{3,})\/data$/.exec(path.slice(folder.length))
      return match?.[2]?.startsWith(match[1] ?? '') === true ? match[2] : undefined
    }
  }
}

function checked (name: string): string {
  if (isUsable(name)) return name
  throw new AppError('NAME_INVALID', `name ${JSON.stringify(name.slice(0, 256))} cannot be stored: it is empty, too long, or has an empty, "." or ".." part`)
}

/** No name may lead out of the root, or to an object that another name leads to as well. */
function isUsable (name: string): boolean {
  if (name === '' || Buffer.byteLength(name) > NAME_BYTES_MAX || name.includes('\0')) return false
  return name.split('/').every(part => part !== '' && part !== '.' && part !== '..')
}
