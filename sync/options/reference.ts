// docs/reference/sync-options.md, from the same table that parses and helps: an option cannot be missing there.
import { type OptionGroup, type OptionRow, optionGroups } from './option-row.ts'
import { defaultOf } from './option-text.ts'
import { deprecatedRows, optionRows, requestRows } from './options.ts'
import { typeNames } from './read-value.ts'

/** The command that writes the page. */
export const referenceCommand = 'npx vitest run test/sync/options/reference.test.ts -u'

const head = `# Options of sync

<!-- Made from sync/options/rows/; after a change there: ${referenceCommand} -->

\`branchline sync\` reads options as git-sync does. A flag wins over its variable, a variable over the default; a
variable that is set but empty counts as set. Older names of a variable are still read and win over the newer one,
among several the last one in the table; each is told on stderr. \`branchline sync --man\` says more.

| type | how it is written |
| --- | --- |
| string | as it is |
| int | a whole number of 64 bits: \`3\`, \`0x10\`, \`0o17\`, \`017\` (octal), \`0b11\`, \`1_000\` |
| bool | \`1\`, \`t\`, \`T\`, \`true\`, \`TRUE\`, \`True\`, \`0\`, \`f\`, \`F\`, \`false\`, \`FALSE\`, \`False\`; a flag: \`--flag\` or \`--flag=false\`, never \`--flag false\` |
| duration | numbers with units (\`ns\`, \`us\`, \`ms\`, \`s\`, \`m\`, \`h\`): \`100ms\`, \`1.5h\`, \`1h30m\`; or \`0\` |
| float | \`1\`, \`0.5\`, \`1e3\` |
| credential | a JSON object or a list of them, with \`url\`, \`username\`, and \`password\` or \`password-file\` |

Options with a \`+\` may be given several times. Those with a \`*\` are not git-sync's.
`

/** The whole page. */
export function renderSyncOptions(): string {
  return [head, ...optionGroups.map(renderGroup), requestSection(), deprecatedSection()].join('\n')
}

function renderGroup(group: OptionGroup): string {
  const rows = optionRows.flatMap(([, row]) => (row.group === group ? [renderRow(row)] : []))
  return section(group, ['flag', 'variable', 'older names', 'type', 'default', 'meaning'], rows)
}

function renderRow(row: OptionRow): string[] {
  const short = row.short === undefined ? [] : [code(`-${row.short}`)]
  const flag = row.flag === undefined ? [] : [[...short, code(`--${row.flag}`)].join(', ')]
  return [
    [...flag, ...(row.repeats ? ['+'] : []), ...(row.ours ? ['\\*'] : [])].join(' '),
    row.env === undefined ? '' : code(row.env),
    (row.oldEnv ?? []).map(code).join(', '),
    typeNames[row.type],
    code(row.type === 'bool' ? String(row.default) : defaultOf(row)),
    row.help,
  ]
}

function requestSection(): string {
  const rows = requestRows.map(({ flag, shorts, help }) => [
    [...shorts.map((short) => code(`-${short}`)), code(`--${flag}`)].join(', '),
    help,
  ])
  return section('Instead of a sync', ['flag', 'what it does'], rows)
}

function deprecatedSection(): string {
  const rows = deprecatedRows.map(([, { flag, env, type, help, advice }]) => [
    code(`--${flag}`),
    env === undefined ? '' : code(env),
    typeNames[type],
    help,
    advice,
  ])
  return section('Deprecated', ['flag', 'variable', 'type', 'what it does', 'advice'], rows)
}

function section(title: string, columns: string[], rows: string[][]): string {
  const lines = [columns, columns.map(() => '---'), ...rows].map(
    (cells) => `| ${cells.map(cell).join(' | ')} |`,
  )
  return `## ${title}\n\n${lines.join('\n')}\n`
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

function code(text: string): string {
  return text === '' ? '' : `\`${text}\``
}
