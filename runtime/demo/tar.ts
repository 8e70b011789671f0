/*
 * The little of the tar format (POSIX ustar) that a layer needs: one folder, one file in it, all dates the same.
 *
 *   | 512: header of the folder | 512: header of the file | content, padded to 512 | 1024 zeros |
 */

const BLOCK_BYTES = 512
/** 2020-01-01, so that the same content makes the same archive. */
const MTIME_SECONDS = 1_577_836_800
/** What 11 octal digits hold. */
const FILE_BYTES_MAX = 8 ** 11 - 1

/**
 * The archive of `folder/name` with `sizeBytes` of content.
 * @param content - yields exactly `sizeBytes` bytes; views are passed on as they come
 */
export function * tarOf (folder: string, name: string, sizeBytes: number, content: Iterable<Uint8Array>): Generator<Uint8Array> {
  if (sizeBytes > FILE_BYTES_MAX) throw new RangeError(`a file in an archive has at most ${FILE_BYTES_MAX} bytes`)
  yield header(`${folder}/`, 0, '5', 0o755)
  yield header(`${folder}/${name}`, sizeBytes, '0', 0o644)
  yield * content
  yield new Uint8Array((BLOCK_BYTES - sizeBytes % BLOCK_BYTES) % BLOCK_BYTES + 2 * BLOCK_BYTES)
}

function header (path: string, sizeBytes: number, type: '0' | '5', mode: number): Uint8Array {
  const block = Buffer.alloc(BLOCK_BYTES)
  const octal = (value: number, at: number, bytes: number): void => { block.write(`${value.toString(8).padStart(bytes - 1, '0')}\0`, at) }
  block.write(path, 0, 100)
  octal(mode, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(sizeBytes, 124, 12)
  octal(MTIME_SECONDS, 136, 12)
  block.write(' '.repeat(8), 148)
  block.write(type, 156)
  block.write('ustar\x0000', 257)
  block.write('root', 265)
  block.write('root', 297)
  // The sum is made while its own field holds blanks.
  block.write(`${block.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148)
  return block
}
