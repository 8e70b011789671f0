import t from 'tap'
import { checkTag } from '../../../runtime/build-index/tag-name.js'

for (const tag of ['library/app:1.0', 'app', 'a:b:c', 'host:5000/app:1', '..app:1', 'app:..', 'täg:ünï', 'x'.repeat(255), `${'x/'.repeat(511)}xx`]) {
  t.test(`takes ${tag.slice(0, 40)}`, async t => { t.equal(checkTag(tag), tag) })
}

for (const tag of ['', '/', '/app:1', 'app:1/', 'a//b:1', '.', '..', '../etc:1', 'a/../b:1', 'a/./b:1', 'a\0b', 'a\nb', 'a\u007fb', 'x'.repeat(256), 'x/'.repeat(512) + 'xx']) {
  t.test(`refuses ${JSON.stringify(tag).slice(0, 40)}`, async t => { t.throws(() => checkTag(tag), { code: 'TAG_INVALID' }) })
}
