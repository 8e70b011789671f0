import { closeSync, openSync, readSync } from 'node:fs'
import { digestFromSum } from '../runtime/core/digest.js'
import { SHA256_BYTES } from '../runtime/core/metainfo.js'
import { AppError } from '../runtime/core/errors.js'
import { Slab, type SlabMemory } from '../runtime/core/slab.js'
import { storageError } from '../runtime/store/files.js'
import { publishEntry } from '../runtime/store/new-entry.js'
import { type HashEngine } from '../wasm/engine.js'
import { type Jobs } from './jobs.js'
import { type Kernels, loadKernels, RunningSums } from './sums.js'

/*
 * The jobs of the hash pool. They run to their end without giving way: their thread has nothing else to do.
 */

export interface HashOptions { readonly slab: SlabMemory | undefined, readonly hashEngine: HashEngine }
export type JobTable = { readonly [J in keyof Jobs]: (input: Jobs[J]['input']) => Jobs[J]['output'] }

const BLOCK_BYTES = 1 << 20

export async function createJobs ({ slab, hashEngine }: HashOptions): Promise<JobTable> {
  const kernels = await loadKernels(hashEngine)
  const slots = slab === undefined ? undefined : new Slab(slab)
  const block = new Uint8Array(BLOCK_BYTES)
  return {
    verifyPiece: input => verifyPiece(kernels, slots, input),
    keepBlob: ({ digest, ...entry }) => {
      const sum = kernels.sha256.create()
      sum.update(entry.data)
      const isGood = digestFromSum(sum.digest()) === digest
      if (isGood) publishEntry(entry)
      return { isGood }
    },
    verifyFile: input => verifyFile(kernels, block, input),
    sumFile: ({ path, pieceBytes }) => {
      const sums = new RunningSums(kernels, pieceBytes)
      forEachBlock(path, block, bytesView => sums.update(bytesView))
      return sums.finish()
    }
  }
}

function verifyPiece (kernels: Kernels, slab: Slab | undefined, { slots, lengthBytes, crc, sha256 }: Jobs['verifyPiece']['input']): { isGood: boolean } {
  if (slab === undefined) throw new AppError('INTERNAL', 'this hash pool was given no slab to find pieces in')
  if (slots.length !== Math.ceil(lengthBytes / slab.slotBytes)) {
    throw new AppError('INTERNAL', `a piece of ${lengthBytes} bytes does not lie in ${slots.length} slots of ${slab.slotBytes} bytes`)
  }
  // Either sum vouches for the piece; SHA-256 is the one that nobody can forge, and makes the other superfluous.
  const sum = sha256 === undefined ? kernels.crc32.create() : kernels.sha256.create()
  for (const [i, slot] of slots.entries()) {
    sum.update(slab.bytesOf(slot, Math.min(slab.slotBytes, lengthBytes - i * slab.slotBytes)))
  }
  const actual = sum.digest()
  return { isGood: typeof actual === 'number' ? actual === crc : isSame(actual, sha256, 0) }
}

function verifyFile (kernels: Kernels, block: Uint8Array, input: Jobs['verifyFile']['input']): Jobs['verifyFile']['output'] {
  const running = new RunningSums(kernels, input.pieceBytes)
  forEachBlock(input.path, block, bytesView => running.update(bytesView))
  const sums = running.finish()
  const badPieces: number[] = []
  for (let i = 0; i < input.crcs.length; i++) {
    const isGood = i < sums.crcs.length && sums.crcs[i] === input.crcs[i] &&
      (input.sha256s === undefined || isSame(sums.sha256s.subarray(i * SHA256_BYTES, (i + 1) * SHA256_BYTES), input.sha256s, i * SHA256_BYTES))
    if (!isGood) badPieces.push(i)
  }
  return { isGood: sums.digest === input.digest, badPieces }
}

/** True if `sum` is found in `expected` at `at`. */
function isSame (sum: Uint8Array, expected: Uint8Array | undefined, at: number): boolean {
  return expected !== undefined && sum.every((byte, i) => byte === expected[at + i])
}

function forEachBlock (path: string, block: Uint8Array, use: (bytesView: Uint8Array) => void): void {
  try {
    const fd = openSync(path, 'r')
    try {
      for (let at = 0; ;) {
        const readBytes = readSync(fd, block, 0, block.length, at)
        if (readBytes === 0) return
        use(block.subarray(0, readBytes))
        at += readBytes
      }
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    throw storageError(error, 'read', path)
  }
}
