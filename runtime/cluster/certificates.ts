import { readFileSync } from 'node:fs'
import { type ClientTls } from '../../net/client/http.js'
import { type ServerTls } from '../../net/http/engine.js'
import { type CertificateFiles, type TlsConfig } from '../config/sections/tls.js'
import { AppError, messageOf } from '../core/errors.js'

/** What the files of a configuration say; undefined is plain HTTP. */
export interface Certificates {
  readonly server: ServerTls | undefined
  readonly client: ClientTls | undefined
}

/** Reads the files that `tls` names. @throws AppError CONFIG_INVALID for one that cannot be read */
export function readCertificates (config: TlsConfig | undefined): Certificates {
  if (config === undefined) return { server: undefined, client: undefined }
  const authorities = config.authorityFiles.map(read)
  const { server, client } = config
  return {
    server: server === undefined ? undefined : { authorities, ...readPair(server) },
    client: client === undefined
      ? undefined
      : { authorities, serverName: client.serverName, ...client.certificate === undefined ? {} : readPair(client.certificate) }
  }
}

function readPair ({ certFile, keyFile, passphraseFile }: CertificateFiles): { cert: string, key: string, passphrase?: string } {
  return { cert: read(certFile), key: read(keyFile), ...passphraseFile === undefined ? {} : { passphrase: read(passphraseFile).trim() } }
}

function read (path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new AppError('CONFIG_INVALID', `tls: ${path} cannot be read: ${messageOf(cause)}`, { cause })
  }
}
