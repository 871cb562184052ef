// Lists that the API gives in pages, as one.

/** What the API gives at most at once. */
const pageSize = 1_000

/** The collection with the entries of all its pages below `key`. */
export async function readAllPages<Collection extends { total_entries: number }, Entry>(
  key: keyof Collection,
  read: (page: { limit: number; offset: number }) => Promise<Collection>,
): Promise<Collection> {
  const first = await read({ limit: pageSize, offset: 0 })
  const entries = first[key] as Entry[]
  for (let size = entries.length; size > 0 && entries.length < first.total_entries; ) {
    const next = (await read({ limit: pageSize, offset: entries.length }))[key] as Entry[]
    entries.push(...next)
    size = next.length
  }
  return { ...first, [key]: entries, total_entries: entries.length }
}
