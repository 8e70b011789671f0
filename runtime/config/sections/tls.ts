import { type Complain, bool, list, nested, optionalText, section, text } from '../schema.js'

/** A certificate with its key, as paths of PEM files. */
export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
  /** Of a file with the passphrase of the key. */
  readonly passphraseFile: string | undefined
}

/** How the components of a cluster reach each other, where that is not plain HTTP (cluster specification 9.4). */
export interface TlsConfig {
  /** PEM files of the authorities that certificates of this cluster are from, on either side. */
  readonly authorityFiles: readonly string[]
  /** Undefined: the ports speak plain HTTP. */
  readonly server: CertificateFiles | undefined
  /** Undefined: other components are asked over plain HTTP. */
  readonly client: {
    /** That the certificate of every component has. Undefined: its host name. */
    readonly serverName: string | undefined
    readonly certificate: CertificateFiles | undefined
  } | undefined
}

const file = section({ path: optionalText({ as: 'path', doc: 'A PEM file.' }) }, ({ path }) => path)
const passphraseFile = section({ path: optionalText({ as: 'path', doc: 'A file with the passphrase of the key.' }) }, ({ path }) => path)

const side = section({
  disabled: bool({ as: 'isDisabled', default: false, doc: 'Plain HTTP, whatever stands beside it.' }),
  cert: nested('certFile', file, 'The certificate.'),
  key: nested('keyFile', file, 'Its key.'),
  passphrase: nested('passphraseFile', passphraseFile, 'Of the key.')
}, ({ isDisabled, certFile, keyFile, passphraseFile }, complain): { isDisabled: boolean, certificate: CertificateFiles | undefined } => {
  if (isDisabled || (certFile === undefined && keyFile === undefined)) return { isDisabled, certificate: undefined }
  if (certFile === undefined) complain('required: expected a PEM file beside the key', 'cert')
  if (keyFile === undefined) complain('required: expected a PEM file beside the certificate', 'key')
  return { isDisabled, certificate: { certFile: certFile ?? '', keyFile: keyFile ?? '', passphraseFile } }
})

const authority = section({ path: text({ as: 'path', doc: 'A PEM file.' }) }, ({ path }) => path)

/** Absent means plain HTTP on both sides; so does `disabled: true`. What stands there otherwise must be complete. */
export const tls = section({
  name: optionalText({ as: 'serverName', doc: 'Name that the certificate of every component has; by default the name of its host.' }),
  cas: list({ as: 'authorityFiles', of: authority, doc: 'Authorities of this cluster: they are trusted besides the known ones, and certificates of clients must be from them.' }),
  server: nested('server', side, 'Our ports. Whoever sends more than GET and HEAD from another host must show a certificate.'),
  client: nested('client', side, 'Our calls to other components.')
}, finish)

function finish (
  { serverName, authorityFiles, server, client }: {
    serverName: string | undefined
    authorityFiles: readonly string[]
    server: { isDisabled: boolean, certificate: CertificateFiles | undefined }
    client: { isDisabled: boolean, certificate: CertificateFiles | undefined }
  },
  complain: Complain
): TlsConfig | undefined {
  const isNamed = serverName !== undefined || authorityFiles.length > 0
  const isClient = !client.isDisabled && (isNamed || client.certificate !== undefined)
  if (isNamed && !server.isDisabled && server.certificate === undefined) {
    complain('required: expected the certificate of our ports, or disabled: true for plain HTTP', 'server')
  }
  if (server.certificate === undefined && !isClient) return undefined
  return { authorityFiles, server: server.certificate, client: isClient ? { serverName, certificate: client.certificate } : undefined }
}
