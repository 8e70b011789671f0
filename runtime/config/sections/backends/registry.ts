import { type Infer, bool, duration, list, nested, optionalNested, optionalText, secret, section, text, unused } from '../../schema.js'

const file = section({ path: optionalText({ as: 'path', doc: 'A PEM file.' }) }, ({ path }) => path)

const clientTls = section({
  disabled: bool({ as: 'isDisabled', default: false, doc: 'Plain HTTP. Unlike Kraken\'s, the credentials are used all the same where the registry asks for them.' }),
  cert: nested('cert', file, 'Certificate that is shown.'),
  key: nested('key', file, 'Its key.'),
  passphrase: nested('passphrase', file, 'File with the passphrase of the key.')
})

const tls = section({
  name: optionalText({ as: 'name', doc: 'Name that the certificate must have, if it is not the host\'s.' }),
  cas: list({ as: 'authorities', of: section({ path: text({ as: 'path', doc: 'A PEM file.' }) }, ({ path }) => path), doc: 'Authorities that are trusted besides the known ones.' }),
  client: nested('client', clientTls, 'Our side.'),
  server: unused('There is no server here.')
})

const basic = section({
  username: optionalText({ as: 'username', doc: 'Name.' }),
  password: secret({ as: 'password', doc: 'Password.' }),
  identitytoken: secret({ as: 'identityToken', doc: 'Instead of both: a refresh token.' }),
  registrytoken: secret({ as: 'registryToken', doc: 'Instead of all: a bearer token, sent as it is.' }),
  auth: unused('`username:password` in base64; write them in their own keys.'),
  email: unused('Not used by Kraken either.'),
  serveraddress: unused('Not used by Kraken either.')
})

const security = section({
  tls: nested('tls', tls, 'How the registry is reached.'),
  basic: optionalNested('basic', basic, 'Credentials.'),
  credsStore: optionalText({ as: 'helper', doc: 'A helper that knows the credentials: `x` stands for the program `docker-credential-x`; `ecr-login` too.' }),
  enableHTTPFallback: bool({ as: 'canFallBack', default: false, doc: 'Try plain HTTP when TLS fails.' })
}, ({ helper, ...rest }, complain) => {
  if (helper !== undefined && !/^[A-Za-z0-9_-]{1,64}$/.test(helper)) complain('expected the name of a docker-credential helper', 'credsStore')
  return { helper, ...rest }
})

/** Another registry (cluster specification 5.9). */
export const registry = section({
  address: text({ as: 'address', doc: '`host` or `host:port`.' }),
  strip_prefix: optionalText({ as: 'prefix', doc: 'Taken off the front of a repository before the registry is asked for it: `registry.example/` where `shoal.registry.mirror` is `per_registry`.' }),
  timeout: duration({ as: 'idleMs', default: '60s', min: 1, doc: 'How long the registry may be silent.' }),
  security: nested('security', security, 'TLS and credentials.')
}, ({ address, ...rest }, complain) => {
  if (!/^[^\s/:@]+(?::\d{1,5})?$|^\[[0-9A-Fa-f:.]+\](?::\d{1,5})?$/.test(address)) complain('expected a host such as registry.example or registry.example:5000', 'address')
  return { address, ...rest }
})
export type UpstreamRegistryConfig = Infer<typeof registry>
