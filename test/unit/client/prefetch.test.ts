import t, { type Test } from 'tap'
import { createBlobClient } from '../../../net/client/blob-client.js'
import { type BlobClient } from '../../../net/client/clients.js'
import { createHttp } from '../../../net/client/http.js'
import { digestOf } from '../../../runtime/core/digest.js'
import { noLog } from '../../../runtime/observe/log.js'
import { deadAddress, smallServer, type SmallServer } from '../../support/small-server.js'

const DIGEST = digestOf('blob')
const PREFETCH = `POST /namespace/team%2Fapp/blobs/${DIGEST}/prefetch`

/** Owners in this order, each answering a prefetch with its status. */
async function cluster (t: Test, ...statuses: Array<number | 'dead'>): Promise<{ client: BlobClient, servers: SmallServer[] }> {
  const addresses: string[] = []
  const servers: SmallServer[] = []
  for (const status of statuses) {
    const server = status === 'dead'
      ? undefined
      : await smallServer(t, ({ method }) => method === 'POST' ? { status } : { status: 200, headers: { 'Origin-Locations': addresses.join(',') } })
    if (server !== undefined) servers.push(server)
    addresses.push(server?.address ?? await deadAddress(t))
  }
  const http = createHttp()
  const client = createBlobClient({
    hosts: {
      hosts: { static: servers.map(server => server.address), dns: undefined, ttlMs: 5000 },
      health: { failsMax: 3, passesMin: 2, timeoutMs: 3000, intervalMs: 1e9 }
    },
    http,
    log: noLog,
    sleep: async (_, signal) => { await new Promise<void>(resolve => { signal.addEventListener('abort', () => { resolve() }, { once: true }) }) }
  })
  t.teardown(async () => {
    await client.close()
    await http.close()
  })
  return { client, servers }
}

const asked = (server: SmallServer | undefined): number => server?.journal.filter(line => line === PREFETCH).length ?? 0

for (const [name, statuses, expected, code] of [
  ['the first owner has it', [200, 200], [1, 0], undefined],
  ['the first owner fetches it', [202, 200], [1, 0], undefined],
  ['one that fails is passed over', [503, 202], [1, 1], undefined],
  ['one that is away is passed over', ['dead', 200], [1], undefined],
  ['nobody has it', [404, 200], [1, 0], 'BLOB_UNKNOWN'],
  ['all fail', [500, 503], [1, 1], 'UNAVAILABLE']
] as const) {
  t.test(name, async t => {
    const { client, servers } = await cluster(t, ...statuses)
    const prefetched = client.prefetch('team/app', DIGEST)
    if (code === undefined) await prefetched
    else await t.rejects(prefetched, { code })
    t.same(servers.map(asked), expected)
  })
}
