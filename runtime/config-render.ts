// Configuration for people: what `branchline config print` shows, and the reference page. Both are made from
// the table, so they cannot tell of a setting that does not exist.

import type { LoadedConfig } from './config.ts'
import { type ConfigKey, configKeys, configTable, variableOf } from './config-table.ts'
import type { Setting } from './setting.ts'

/** One setting as `config print --json` gives it. */
export interface ConfigEntry {
  key: ConfigKey
  /** null where there is none; '***' in place of a secret. */
  value: string | number | boolean | readonly string[] | null
  source: string
}

/** Every setting with its value and origin, in the table's order; secrets masked. */
export function configEntries({ values, sources }: LoadedConfig): ConfigEntry[] {
  return configKeys.map((key) => {
    const value = values[key]
    return {
      key,
      value: configTable[key].secret && value !== null ? '***' : value,
      source: sources[key],
    }
  })
}

/** The same as aligned lines: key, value, origin. */
export function renderConfig(config: LoadedConfig): string {
  const rows = configEntries(config).map(({ key, value, source }) => {
    const setting: Setting<unknown> = configTable[key]
    return [key, value === '***' ? value : setting.format(value), source] as const
  })
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows
    .map(([key, value, source]) => `${key.padEnd(widths[0]!)}  ${value.padEnd(widths[1]!)}  ${source}`)
    .join('\n')
}

const referenceHead = `# Configuration

<!-- Made from runtime/config-table.ts; after a change there: npx vitest run test/runtime/config.test.ts -u -->

A setting comes from, the later one winning: its default; the file \`branchline.config.json\` in the working
directory (another file: \`--config PATH\` or \`BRANCHLINE_CONFIG\`), a JSON object of keys; the environment
variable; the flag. Relative paths count from the file that has them, or else from the working directory. An
empty variable counts as absent. A key or \`BRANCHLINE_\` variable that is not listed here stops the start, but for
those that tell a task's command of its attempt.
\`branchline config print\` shows every value and where it came from.
`

/** docs/reference/config.md. */
export function renderConfigReference(): string {
  return [referenceHead, ...configKeys.map(renderSetting)].join('\n')
}

function renderSetting(key: ConfigKey): string {
  const setting = configTable[key]
  const facts = [
    `Variable: \`${variableOf(key)}\``,
    `Type: ${setting.type}`,
    `Default: ${setting.defaultText}`,
    ...(setting.unit === '' ? [] : [`Unit: ${setting.unit}`]),
    ...(setting.secret ? ['Secret: never printed'] : []),
  ]
  return `## \`${key}\`\n\n${setting.description}\n\n${facts.map((fact) => `- ${fact}`).join('\n')}\n`
}
