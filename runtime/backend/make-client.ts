import { type AuthConfig, type BackendChoice, type PlainBackend } from '../config/types.js'
import { type BackendClient } from './backend.js'
import { FsClient } from './fs/client.js'
import { GcsClient } from './gcs/client.js'
import { HdfsClient } from './hdfs/client.js'
import { HttpClient } from './http/client.js'
import { noopClient } from './noop.js'
import { RegistryBlobClient } from './registry/blob-client.js'
import { Registry } from './registry/registry.js'
import { RegistryTagClient } from './registry/tag-client.js'
import { S3Client } from './s3/client.js'
import { ShadowClient } from './shadow/client.js'
import { TestfsClient } from './testfs/client.js'

/** The client of a configured backend. @throws AppError CONFIG_INVALID */
export function makeClient (choice: BackendChoice, auth: AuthConfig): BackendClient {
  switch (choice.kind) {
    case 'noop': return noopClient
    case 'shadow': return new ShadowClient(makePlainClient(choice.active, auth), makePlainClient(choice.shadow, auth))
    default: return makePlainClient(choice, auth)
  }
}

function makePlainClient ({ kind, config }: PlainBackend, auth: AuthConfig): BackendClient {
  switch (kind) {
    case 'fs': return new FsClient(config)
    case 'gcs': return new GcsClient(config, auth)
    case 'hdfs': return new HdfsClient(config)
    case 'http': return new HttpClient(config)
    case 'registry_blob': return new RegistryBlobClient(new Registry(config))
    case 'registry_tag': return new RegistryTagClient(new Registry(config))
    case 's3': return new S3Client(config, auth)
    case 'testfs': return new TestfsClient(config)
  }
}
