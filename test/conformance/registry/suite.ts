import { type Case, type Category } from './case.js'
import { DISCOVERY_CASES } from './discovery.js'
import { MANAGEMENT_CASES } from './management.js'
import { PULL_CASES } from './pull.js'
import { BLOB_CASES } from './push-blobs.js'
import { MANIFEST_CASES } from './push-manifests.js'
import { READ_ONLY_CASES } from './read-only.js'

/** All that the OCI distribution specification asks of a registry, as far as http-api specification 9 lists it. */
export const CASES: readonly Case[] = [
  ...PULL_CASES, ...BLOB_CASES, ...MANIFEST_CASES, ...DISCOVERY_CASES, ...MANAGEMENT_CASES, ...READ_ONLY_CASES
]

/** Of a registry that takes everything. */
export const READ_WRITE: readonly Category[] = ['pull', 'push', 'discovery', 'management']
/** Of a registry that only serves what came into it elsewhere. */
export const READ_ONLY: readonly Category[] = ['pull', 'discovery', 'read-only']
