/** Images for tests, made from options alone, and a client that pushes and pulls them. */
export { type Image, type ImageBlob, type ImageManifest, type ImageOptions, makeImage } from '../../runtime/demo/image.js'
export { RegistryClient } from '../../runtime/demo/registry-client.js'
