import t from 'tap'
import { makePather } from '../../../runtime/backend/pather.js'

const HEX = 'ab'.repeat(32)

t.test('names become paths and paths names', async t => {
  for (const [kind, root, name, path] of [
    ['identity', '', 'a/b', 'a/b'],
    ['identity', '/root/', 'a', '/root/a'],
    ['identity', '/', 'a', '/a'],
    ['docker_tag', '', 'library/app:1.0', 'docker/registry/v2/repositories/library/app/_manifests/tags/1.0/current/link'],
    ['docker_tag', '/x', 'app:1.0', '/x/docker/registry/v2/repositories/app/_manifests/tags/1.0/current/link'],
    ['sharded_docker_blob', '/', HEX, `/docker/registry/v2/blobs/sha256/ab/${HEX}/data`]
  ] as const) {
    const pather = makePather(kind, root)
    t.equal(pather.path(name), path)
    t.equal(pather.name(path), name)
    t.ok(path.startsWith(pather.base))
  }
})

t.test('paths that no name has', async t => {
  for (const [kind, path] of [
    ['identity', '/other/a'], ['identity', '/root/'], ['identity', '/root/a//b'],
    ['docker_tag', '/root/docker/registry/v2/repositories/app/_layers/sha256/ab/link'],
    ['docker_tag', '/root/docker/registry/v2/repositories/app/_manifests/tags/1.0/index/sha256/ab/link'],
    ['docker_tag', '/root/docker/registry/v2/repositories//_manifests/tags/1.0/current/link'],
    ['sharded_docker_blob', `/root/docker/registry/v2/blobs/sha256/cd/${HEX}/data`],
    ['sharded_docker_blob', `/root/docker/registry/v2/blobs/sha256/ab/${HEX}/other`]
  ] as const) t.equal(makePather(kind, '/root').name(path), undefined, path)
})

t.test('names that have no path', async t => {
  for (const [kind, name] of [
    ['identity', ''], ['identity', '../a'], ['identity', 'a/./b'], ['identity', '/a'], ['identity', 'a/'], ['identity', 'a\0'], ['identity', 'ä'.repeat(513)],
    ['docker_tag', 'app'], ['docker_tag', 'app:'], ['docker_tag', ':1'], ['docker_tag', 'a:b:c'], ['docker_tag', 'a:b/c'], ['docker_tag', '../a:1'],
    ['sharded_docker_blob', 'ab'], ['sharded_docker_blob', '../../etc'], ['sharded_docker_blob', `${HEX}/`]
  ] as const) t.throws(() => makePather(kind, '/root').path(name), { code: 'NAME_INVALID' }, `${kind} ${name.slice(0, 20)}`)
})
