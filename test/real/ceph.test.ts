import { CreateBucketCommand, S3Client as AwsClient } from '@aws-sdk/client-s3'
import t from 'tap'
import { S3Client } from '../../runtime/backend/s3/client.js'
import { auth } from '../../runtime/config/sections/auth.js'
import { s3 } from '../../runtime/config/sections/backends/s3.js'
import { backendSuite } from '../support/backend-suite.js'
import { CEPH_KEYS, CEPH_PROGRAMS, startCeph } from '../support/ceph.js'
import { arePresent } from '../support/programs.js'

/* The s3 backend against a real server: Ceph's gateway. */

const PART_BYTES = 5 * 2 ** 20

async function main (): Promise<void> {
  if (!arePresent(t, ...CEPH_PROGRAMS)) return
  t.test('s3 with Ceph', async t => {
    const endpoint = await startCeph(t)
    const admin = new AwsClient({ endpoint, region: 'default', forcePathStyle: true, credentials: CEPH_KEYS })
    await admin.send(new CreateBucketCommand({ Bucket: 'images' }))
    admin.destroy()
    const credentials = auth.schema.parse({
      s3: { tester: { s3: { aws_access_key_id: CEPH_KEYS.accessKeyId, aws_secret_access_key: CEPH_KEYS.secretAccessKey } } }
    })
    const client = (root: string, namePath: string): S3Client => new S3Client(s3.schema.parse({
      username: 'tester',
      region: 'default',
      bucket: 'images',
      endpoint,
      force_path_style: true,
      root_directory: root,
      name_path: namePath,
      upload_part_size: PART_BYTES,
      list_max_keys: 2
    }), credentials)
    await backendSuite(t, { blobs: client('/blobs', 'sharded_docker_blob'), tags: client('/tags', 'docker_tag'), largeBytes: 3 * PART_BYTES + 12_345 })
  })
}

await main()
