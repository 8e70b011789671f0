import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { type Logger } from '../observe/log.js'
import { readIfPresent, replaceFile, syncDir } from '../store/files.js'

/** In a directory of blobs; Kraken looks only two levels below it. */
const FILE_NAME = '.store-id'
const ID = /^[0-9a-f-]{36}$/
/** Hosts remembered; no cluster has so many origins. */
const HOSTS_MAX = 4096

/** The id of a directory of blobs, made with it: whoever has another one than before has lost what it had. @throws AppError STORAGE */
export async function storeIdOf (cacheDir: string): Promise<string> {
  const path = join(cacheDir, FILE_NAME)
  const found = (await readIfPresent(path, 4096))?.toString().trim()
  if (found !== undefined && ID.test(found)) return found
  const id = randomUUID()
  await replaceFile(path, Buffer.from(`${id}\n`), { isDurable: true })
  await syncDir(cacheDir)
  return id
}

/** Notices when a member comes back with another disk, however short it was away. */
export class StoreWatch {
  readonly #ids = new Map<string, string>()
  #onLoss: (address: string) => void = () => {}

  constructor (readonly log: Logger) {}

  /** `listener` is called when a member has lost what it had. */
  onLoss (listener: (address: string) => void): void { this.#onLoss = listener }

  /** A member was seen with this id; undefined from those that state none. */
  saw (address: string, id: string | undefined): void {
    if (id === undefined || !ID.test(id)) return
    const before = this.#ids.get(address)
    if (this.#ids.size >= HOSTS_MAX) this.#ids.clear()
    this.#ids.set(address, id)
    if (before === undefined || before === id) return
    this.log.warn({ address }, 'member has another disk')
    this.#onLoss(address)
  }
}
