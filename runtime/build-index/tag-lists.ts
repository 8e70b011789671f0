import { after, type Clock, type Millis } from '../core/clock.js'
import { forEachLimited } from '../core/limited.js'
import { isDeletion } from '../store/tag-version.js'
import { type TagBackend } from './tag-backend.js'
import { type Page, type PageQuery, TagIndex } from './tag-index.js'
import { type TagStore } from './tag-store.js'

/** Further pages of a list come from what its first page was made of, for as long as a client may take from page to page. */
const PAGES_TTL_MS = 60_000
const LISTS_MAX = 8
/** Records looked up at the same time. */
const LOOKUPS_MAX = 32

export interface TagListsOptions {
  readonly tags: Pick<TagStore, 'page' | 'has' | 'find'>
  readonly backend: Pick<TagBackend, 'list'>
  readonly clock: Clock
}

/**
 * Lists of tags: what is on our disk, written back or not, together with what the backends have; sorted, in pages,
 * whatever the backend can (cluster specification 7.6, and B28 of 11.2).
 */
export class TagLists {
  readonly #recent = new Map<string, { readonly index: TagIndex, readonly until: Millis }>()

  constructor (readonly options: TagListsOptions) {}

  /** @throws AppError INTERNAL if a backend does not list */
  async page (prefix: string, query: PageQuery): Promise<Page> {
    const { clock } = this.options
    const recent = this.#recent.get(prefix)
    if (query.after !== undefined && recent !== undefined && recent.until > clock.now()) return recent.index.page('', query)
    const index = new TagIndex(this.options.tags.page(prefix, {}).names.concat(await this.#fromBackend(prefix)))
    const page = index.page('', query)
    this.#recent.delete(prefix)
    if (page.next !== undefined) this.#keep(prefix, index)
    return page
  }

  /** What the backends have, without what was deleted here. */
  async #fromBackend (prefix: string): Promise<string[]> {
    const { tags, backend } = this.options
    const names: string[] = []
    await forEachLimited((await backend.list(prefix)).filter(name => !tags.has(name)), LOOKUPS_MAX, async name => {
      // A damaged record is no deletion.
      if (!isDeletion(await tags.find(name).catch(() => undefined))) names.push(name)
    })
    return names
  }

  #keep (prefix: string, index: TagIndex): void {
    const oldest = this.#recent.keys().next()
    if (this.#recent.size >= LISTS_MAX && oldest.done !== true) this.#recent.delete(oldest.value)
    this.#recent.set(prefix, { index, until: after(this.options.clock.now(), PAGES_TTL_MS) })
  }
}
