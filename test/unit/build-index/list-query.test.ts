import t from 'tap'
import { nextQuery, parseListQuery } from '../../../runtime/build-index/list-query.js'

t.test('what a query asks for', async t => {
  const token = Buffer.from('team/app:v1').toString('base64url')
  for (const [query, page] of [
    ['', { limit: Infinity, after: undefined }],
    ['limit=5', { limit: 5, after: undefined }],
    ['limit=-1', { limit: Infinity, after: undefined }],
    [`offset=${token}`, { limit: 250, after: 'team/app:v1' }],
    [`limit=2&offset=${token}`, { limit: 2, after: 'team/app:v1' }],
    ['offset=', { limit: 250, after: undefined }]
  ] as const) t.same(parseListQuery(new URLSearchParams(query)).page, page, query)
})

t.test('what is refused', async t => {
  for (const [query, message] of [
    ['limit=0', 'invalid limit 0'],
    ['limit=-0', /^invalid limit/],
    ['limit=x', /^invalid limit x/],
    ['limit=', /^invalid limit/],
    ['limit=1.5', /^invalid limit/],
    ['limit=1e3', /^invalid limit/],
    ['foo=1', 'invalid query foo'],
    ['limit=1&limit=2', 'invalid query limit'],
    ['offset=a&offset=a', 'invalid query offset']
  ] as const) t.throws(() => parseListQuery(new URLSearchParams(query)), { code: 'PARAMETER_INVALID', message }, query)
})

t.test('the next page is asked for with the same limit and sorted keys', async t => {
  const query = nextQuery(parseListQuery(new URLSearchParams('limit=2')), 'ä/b:1')
  t.match(query, /^limit=2&offset=[\w-]+$/)
  t.same(parseListQuery(new URLSearchParams(query)).page, { limit: 2, after: 'ä/b:1' })
  t.match(nextQuery(parseListQuery(new URLSearchParams('offset=')), 'b:1'), /^offset=/)
})
