// What `--help` prints, made from the table of options.
import { formatGoDuration } from './go-values.ts'
import { type OptionRow, optionRows } from './options.ts'

const helpWidth = 100
const indent = ' '.repeat(6)

/** The text of `--help`: one entry for each option with its type, variable, default and meaning. */
export function helpText(): string {
  const entries = optionRows.map(([, row]) => {
    const flag = row.flag === undefined ? '' : `${row.short ? `-${row.short}, ` : ''}--${row.flag}`
    const value = row.type === 'bool' ? '' : ` <${row.type === 'strings' ? 'string' : row.type}>`
    const head = flag === '' ? `  $${row.env}` : `  ${flag}${value}, $${row.env}`
    return [head, ...wrap(`${row.help}${defaultNote(row)}`)].join('\n')
  })
  return [
    'Usage: branchline sync --repo <url> --root <directory> [options]',
    '',
    'Keeps a directory at the newest commit of a branch: clones the repository, makes a worktree for each commit',
    'and publishes it by an atomic change of a symbolic link.',
    '',
    'Options (a flag wins over its variable):',
    ...entries,
    '  -h, --help',
    `${indent}print this text and exit`,
    '  --version',
    `${indent}print the version and exit`,
    '',
    'Exit codes: 0 done, 1 configuration or too many failures, 2 a flag that cannot be read, 128 + n ended by signal n.',
    '',
  ].join('\n')
}

/** How a default reads in help and reference: Go's spelling; empty where there is none. */
function defaultText(row: OptionRow): string {
  if (row.type === 'duration') return formatGoDuration(row.default as number)
  return Array.isArray(row.default) ? row.default.join(':') : String(row.default)
}

function defaultNote(row: OptionRow): string {
  const text = defaultText(row)
  return text === '' ? '' : ` (default ${text})`
}

function wrap(text: string): string[] {
  const lines: string[] = []
  let line = indent
  for (const word of text.split(' ')) {
    if (line.length + word.length + 1 > helpWidth && line.trim() !== '') {
      lines.push(line)
      line = indent
    }
    line += line === indent ? word : ` ${word}`
  }
  return [...lines, line]
}
