import t from 'tap'
import { redisSuite } from '../support/redis-suite.js'
import { SmallRedis } from '../support/small-redis.js'

t.setTimeout(120_000)

t.test('trackers share their peers through redis, and do without it', async t => {
  const redis = await SmallRedis.start()
  t.teardown(async () => { await redis.stop() })
  await redisSuite(t, {
    address: redis.address,
    start: async () => { await redis.start() },
    stop: async () => { await redis.stop() },
    freeze: () => { redis.isSilent = true },
    thaw: () => { redis.isSilent = false },
    members: async key => [...redis.sets.get(key)?.members ?? []]
  })
})
