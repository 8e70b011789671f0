import { type Infer, section, size, unused } from '../schema.js'

/** The proxy's own API (http-api specification 4.4). */
export const proxyServer = section({
  prefetch_min_blob_size: size({ as: 'blobBytesMin', default: '0', min: 0, doc: 'Smaller blobs of an image are not prefetched.' }),
  prefetch_max_blob_size: size({ as: 'blobBytesMax', default: '50GB', min: 1, doc: 'Larger blobs of an image are not prefetched.' }),
  listener: unused('A second socket without a front.')
})
/** Which blobs of an image are prefetched, by their size; both bounds included. */
export type PrefetchConfig = Infer<typeof proxyServer>
