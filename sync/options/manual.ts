// What `--man` prints: every option with all its names and all that there is to say about it, from the table, and
// the prose of manual-prose.ts around it. For a terminal of 80 columns.

import { manualSections } from './manual-prose.ts'
import { type DeprecatedRow, type OptionRow, optionGroups } from './option-row.ts'
import { sentenceOf, titleOf, wrap, wrapParagraphs } from './option-text.ts'
import { deprecatedRows, optionRows, requestRows } from './options.ts'
import { typeNames } from './read-value.ts'

const manualWidth = 80
const bodyIndent = ' '.repeat(4)
const textIndent = ' '.repeat(12)

/** The text of `--man`. */
export function manualText(): string {
  const [before, after] = [manualSections.beforeOptions, manualSections.afterOptions].map((sections) =>
    sections.flatMap(({ title, text }) => [title, '', ...wrapParagraphs(text, manualWidth, bodyIndent), '']),
  ) as [string[], string[]]
  return [
    ...before,
    'OPTIONS',
    '',
    ...optionLines(),
    'DEPRECATED FLAGS',
    '',
    ...deprecatedLines(),
    ...after,
  ].join('\n')
}

function optionLines(): string[] {
  const rows = optionRows.map(([, row]) => row)
  return optionGroups.flatMap((group) => [
    `  ${group}`,
    '',
    ...rows.filter((row) => row.group === group).flatMap(entry),
    ...(group === 'Program' ? requestRows.flatMap(requestEntry) : []),
  ])
}

function entry(row: OptionRow): string[] {
  const variables = row.flag === undefined || row.env === undefined ? [] : [`$${row.env}`]
  const facts = [
    ...(row.oldEnv === undefined ? [] : [`Older names: ${row.oldEnv.map((name) => `$${name}`).join(', ')}.`]),
    ...(row.ours ? ['git-sync has no such option.'] : []),
  ]
  return [
    ...wrap([titleOf(row), ...variables].join(', '), manualWidth, bodyIndent),
    ...wrap(asSentence(sentenceOf(row)), manualWidth, textIndent),
    ...(row.more === undefined ? [] : ['', ...wrapParagraphs(row.more, manualWidth, textIndent)]),
    ...(facts.length === 0 ? [] : ['', ...wrap(facts.join(' '), manualWidth, textIndent)]),
    '',
  ]
}

function requestEntry({ flag, shorts, help }: (typeof requestRows)[number]): string[] {
  const names = [...shorts.map((short) => `-${short}`), `--${flag}`].join(', ')
  return [`${bodyIndent}${names}`, `${textIndent}${asSentence(help)}`, '']
}

function deprecatedLines(): string[] {
  const text = 'Each still works, tells on stderr that it is deprecated, and wins over what took its place.'
  return [
    ...wrap(text, manualWidth, bodyIndent),
    '',
    ...deprecatedRows.flatMap(([, row]) => deprecatedEntry(row)),
  ]
}

function deprecatedEntry(row: DeprecatedRow): string[] {
  const value = row.type === 'bool' ? '' : ` <${typeNames[row.type]}>`
  const variable = row.env === undefined ? '' : `, $${row.env}`
  return [
    `${bodyIndent}--${row.flag}${value}${variable}`,
    ...wrap(`${asSentence(row.help)} ${asSentence(row.advice)}`, manualWidth, textIndent),
    '',
  ]
}

function asSentence(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}.`
}
