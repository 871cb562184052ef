// How a row of the table reads for people: its names, its default, lines of a width. Help, manual and reference
// page say the same because they ask here.
import { formatGoDuration } from './go-values.ts'
import type { OptionRow } from './option-row.ts'
import { typeNames } from './read-value.ts'

/** `-v, --verbose <int>`; of an option without a flag its variable, `$GITSYNC_PASSWORD`. */
export function titleOf(row: OptionRow): string {
  if (row.flag === undefined) return `$${row.env}`
  const value = row.type === 'bool' ? '' : ` <${typeNames[row.type]}>`
  return `${row.short === undefined ? '' : `-${row.short}, `}--${row.flag}${value}`
}

/** The default in Go's spelling; empty where there is none, or where the sentence itself tells it. */
export function defaultOf(row: OptionRow): string {
  if (row.type === 'duration') return formatGoDuration(row.default as number)
  if (row.default === undefined || row.default === false) return ''
  return Array.isArray(row.default) ? row.default.join(':') : String(row.default)
}

/** The sentence of help with the default. */
export function sentenceOf(row: OptionRow): string {
  const byDefault = row.help.includes('(default') ? '' : defaultOf(row)
  return byDefault === '' ? row.help : `${row.help} (default ${byDefault})`
}

/** Lines of at most `width` characters, each with `indent` before it; a longer word has a line of its own. */
export function wrap(text: string, width: number, indent: string): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && indent.length + line.length + 1 + word.length > width) {
      lines.push(indent + line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, indent + line]
}

/** Paragraphs, wrapped; lines that begin with a space stay as they are. */
export function wrapParagraphs(text: string, width: number, indent: string): string[] {
  return text
    .split('\n')
    .flatMap((line) =>
      line === '' ? [''] : line.startsWith(' ') ? [indent + line] : wrap(line, width, indent),
    )
}
