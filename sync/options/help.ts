// What `--help` prints, made from the table of options: a sentence for each. The whole story is in manual.ts.
import { type OptionRow, optionGroups } from './option-row.ts'
import { sentenceOf, titleOf, wrap } from './option-text.ts'
import { deprecatedRows, optionRows, requestRows } from './options.ts'

const helpWidth = 100
const indent = ' '.repeat(6)

/** The text of `--help`: by groups, each option with its type, variable, meaning and default. */
export function helpText(): string {
  const rows = optionRows.map(([, row]) => row)
  const groups = optionGroups.flatMap((group) => [
    `${group}:`,
    ...rows.filter((row) => row.group === group).flatMap(entry),
    ...(group === 'Program' ? requestRows.flatMap(requestEntry) : []),
    '',
  ])
  return [
    'Usage: branchline sync --repo <url> --root <directory> [options]',
    '',
    'Keeps a directory at the newest commit of a branch: clones the repository, makes a worktree for each',
    'commit and publishes it by an atomic change of a symbolic link. --man prints the manual.',
    '',
    'A flag wins over its variable.',
    '',
    ...groups,
    ...wrap(
      `Deprecated: ${deprecatedRows.map(([, { flag, advice }]) => `--${flag} (${advice})`).join(', ')}.`,
      helpWidth,
      '',
    ),
    '',
    'Exit codes: 0 done, 1 configuration or too many failures, 2 a flag that cannot be read, 128 + n',
    'ended by signal n.',
    '',
  ].join('\n')
}

function entry(row: OptionRow): string[] {
  const variable = row.env === undefined || row.flag === undefined ? '' : `, $${row.env}`
  return [`  ${titleOf(row)}${variable}`, ...wrap(sentenceOf(row), helpWidth, indent)]
}

function requestEntry({ flag, shorts, help }: (typeof requestRows)[number]): string[] {
  return [`  ${[...shorts.map((short) => `-${short}`), `--${flag}`].join(', ')}`, `${indent}${help}`]
}
