// docs/reference/cli.md, from the same definitions that parse and help: a command, argument or option cannot be
// missing there.
import type { Argument, Command, Option } from 'commander'

const head = `# Command line

<!-- Made from the commands in cli/; after a change there: npx vitest run test/cli/reference.test.ts -u -->

Commands that speak to the API find it by \`--api-url\`, or else by the setting \`api_url\` (variable
\`BRANCHLINE_API_URL\`). Results go to standard output, everything else to standard error. Times are local. Colours
appear on a terminal unless \`NO_COLOR\` is set. \`--json\` prints what the API answers, as it is.
[Exit codes](exit-codes.md) tell scripts how a command ended.
`

/** The whole page. */
export function renderCliReference(root: Command): string {
  return `${[head, ...leavesOf(root).map(renderCommand)].join('\n')}`
}

/** Commands that do something, in the order of their definition. */
function leavesOf(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leavesOf)
}

function renderCommand(command: Command): string {
  const rows = [
    ...command.registeredArguments.filter(isExplained).map(renderArgument),
    ...command.options.filter((option) => !option.hidden).map(renderOption),
  ]
  const table = rows.length === 0 ? [] : ['', '| | |', '| --- | --- |', ...rows]
  return [
    `## \`${nameOf(command)}\``,
    '',
    `${command.description()}.`,
    '',
    '```',
    `${nameOf(command)} ${command.usage()}`.trim(),
    '```',
    ...table,
    '',
  ].join('\n')
}

function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`
}

function argumentTerm(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? '...' : ''}`
  return argument.required ? `<${name}>` : `[${name}]`
}

function isExplained(argument: Argument): boolean {
  return argument.description !== '' || argument.argChoices !== undefined
}

function renderArgument(argument: Argument): string {
  return row(argumentTerm(argument), argument.description, argument.argChoices)
}

function renderOption(option: Option): string {
  const byDefault =
    option.defaultValue === undefined || option.negate ? '' : ` (default: ${option.defaultValue})`
  return row(option.flags, `${option.description}${byDefault}`, option.argChoices)
}

function row(term: string, description: string, choices: readonly string[] | undefined): string {
  const oneOf = choices === undefined ? [] : [choices.map((choice) => `\`${choice}\``).join(', ')]
  const told = [description, ...oneOf].filter(Boolean).join(': ')
  return `| \`${term}\` | ${told.replaceAll('|', '\\|')} |`
}
