import { type Infer, map, nested, optionalNested, secret, section, text, unused } from '../schema.js'
import { Secret } from '../secret.js'
import { leafShape, textShape } from '../shapes.js'

/*
 * Credentials of the backends (cluster specification 5.13), by backend and by the `username` of its configuration:
 *
 *   auth: { s3: { kraken: { s3: { aws_access_key_id: ..., aws_secret_access_key: ... } } } }
 */

/** A service account has a key of 4096 bits in it, which is longer than other texts. */
const ACCOUNT_LENGTH_MAX = 65_536

const s3Keys = section({
  aws_access_key_id: text({ as: 'accessKeyId', doc: 'Key id.' }),
  aws_secret_access_key: secret({ as: 'secretAccessKey', doc: 'Key.' }),
  aws_session_token: secret({ as: 'sessionToken', doc: 'Token of a temporary key.' })
}, (keys, complain) => {
  if (keys.secretAccessKey === undefined) complain('required: expected a secret', 'aws_secret_access_key')
  return keys
})

const account = leafShape('secret', 'the JSON of a service account', raw =>
  typeof raw === 'string' && raw.length > 0 && raw.length <= ACCOUNT_LENGTH_MAX ? new Secret(raw) : undefined)

const s3User = section({ s3: optionalNested('keys', s3Keys, 'A pair of keys.') })
const gcsUser = section({
  gcs: optionalNested('keys', section({ access_blob: { ...secret({ as: 'account', doc: 'JSON of a service account.' }), schema: account.schema } }), 'A service account.')
})
const NONE_NEEDED = 'Has no credentials here.'

export const auth = section({
  s3: map({ as: 's3', key: textShape(), value: s3User, doc: 'Keys by username: `<username>: { s3: { aws_access_key_id, aws_secret_access_key, aws_session_token } }`.' }),
  gcs: map({ as: 'gcs', key: textShape(), value: gcsUser, doc: 'Service accounts by username: `<username>: { gcs: { access_blob } }`.' }),
  ...Object.fromEntries(['sql', 'hdfs', 'http', 'testfs', 'fs', 'shadow', 'registry_blob', 'registry_tag'].map(kind => [kind, unused(NONE_NEEDED)]))
})
export type AuthConfig = Infer<typeof auth>

export const authBlock = nested('auth', auth, 'Credentials of the backends, usually in the file of `--secrets`.')
