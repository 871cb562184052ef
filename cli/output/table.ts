// Aligned columns. Widths are counted in characters without escape sequences, and the last column is not padded,
// so that free text (which may be of any width) belongs there.
import { stripVTControlCharacters } from 'node:util'
import { plain, type Style } from './style.ts'

/** Between columns. */
const gap = '  '

/**
 * Rows as lines.
 * @param options.head column titles; absent: no title line
 * @param options.right indexes of columns that are aligned at their right side
 */
export function renderTable(
  rows: readonly (readonly string[])[],
  options: { head?: readonly string[]; right?: readonly number[]; style?: Style } = {},
): string[] {
  const { head, right = [], style = plain } = options
  const all = head === undefined ? rows : [head.map((title) => style('dim', title)), ...rows]
  const columns = Math.max(0, ...all.map((row) => row.length))
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...all.map((row) => widthOf(row[column] ?? ''))),
  )
  return all.map((row) =>
    row
      .map((cell, column) => {
        const padding = ' '.repeat(widths[column]! - widthOf(cell))
        if (right.includes(column)) return padding + cell
        return column === columns - 1 ? cell : cell + padding
      })
      .join(gap)
      .trimEnd(),
  )
}

/** Names and values, as `show` commands print them. */
export function renderFields(fields: readonly (readonly [string, string])[], style: Style): string[] {
  return renderTable(fields.map(([name, value]) => [style('dim', name), value]))
}

/** Characters that a terminal shows. */
function widthOf(text: string): number {
  return [...stripVTControlCharacters(text)].length
}
