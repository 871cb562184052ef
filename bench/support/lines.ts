// The benchmark's output: one JSON line for each figure, and the Markdown table that docs/performance.md shows,
// made from such lines so that no number is ever copied by hand.
import { text } from 'node:stream/consumers'
import { type Measurement, ratesUp, type Unit } from './bench-case.ts'
import { currentLoad, type Machine } from './machine.ts'
import { median, rounded } from './statistics.ts'

export interface BenchLine {
  case: string
  /** Median of n rounds. */
  value: number
  unit: Unit
  /** Median of the bare loop's rounds; null: there is nothing to compare with. */
  floor: number | null
  /** How many times as slow as the floor: value ÷ floor, and floor ÷ value for what is better when larger. */
  ratio: number | null
  n: number
  min: number
  max: number
  machine: Machine
  settings: Record<string, unknown>
}

/** @param programs whether sources or the build were measured */
export function lineOf(
  { name, unit, values, floors, target, settings }: Measurement,
  machine: Machine,
  programs: 'source' | 'dist',
): BenchLine {
  const value = median(values)
  const floor = floors === null ? null : median(floors)
  const ratio = floor === null ? null : ratesUp.includes(unit) ? floor / value : value / floor
  return {
    case: name,
    value: rounded(value),
    unit,
    floor: floor === null ? null : rounded(floor),
    ratio: ratio === null ? null : rounded(ratio),
    n: values.length,
    min: rounded(Math.min(...values)),
    max: rounded(Math.max(...values)),
    machine: { ...machine, load_average: currentLoad() },
    settings: { programs, ...(target !== null && { target }), ...settings },
  }
}

/** Lines of an earlier run; whatever is no JSON object (npm's own words) is left out. */
export async function readLines(stream: NodeJS.ReadableStream): Promise<BenchLine[]> {
  return (await text(stream))
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as BenchLine)
}

const tableBegins = {
  machine: '<!-- table: made by `npm run bench -- --write-doc` -->',
  pods: '<!-- table: made by `bench/on-cluster --write-doc` -->',
} as const
const tableEnd = '<!-- end of table -->'

/** The document with the table of these lines in place of the one that it has. @throws Error where it has no place for it */
export function withTable(
  document: string,
  table: keyof typeof tableBegins,
  lines: readonly BenchLine[],
): string {
  const tableBegin = tableBegins[table]
  const begin = document.indexOf(tableBegin)
  const end = document.indexOf(tableEnd, begin)
  if (begin < 0 || end < 0) throw new Error(`the document has no lines ${tableBegin} and ${tableEnd}`)
  return `${document.slice(0, begin)}${tableBegin}\n${markdownTable(lines)}${document.slice(end)}`
}

/** The table of docs/performance.md. */
export function markdownTable(lines: readonly BenchLine[]): string {
  const rows = lines.map(({ case: name, value, unit, min, max, n, floor, ratio, settings }) => [
    `\`${name}\``,
    `${shown(value)} ${unit}`,
    `${shown(min)} to ${shown(max)}`,
    String(n),
    floor === null ? '' : shown(floor),
    ratio === null ? '' : shown(ratio),
    String(settings.target ?? ''),
  ])
  const head = ['case', 'median', 'range', 'n', 'floor', '× floor', 'target']
  const table = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
  const machines = [...new Set(lines.map(({ machine }) => machineText(machine)))]
  const programs = [...new Set(lines.map(({ settings }) => settings.programs))].join(', ')
  return `${table}\n\n${machines.join('\n')} Programs: ${programs}.\n`
}

const shown = (value: number): string => value.toLocaleString('en-US', { maximumSignificantDigits: 3 })

function machineText(machine: Machine): string {
  const { cpu, cores, memory_gib, kernel, node, postgres, fdatasync_ms } = machine
  return `${cores} × ${cpu}, ${memory_gib} GiB, Linux ${kernel}, Node ${node}, PostgreSQL ${postgres}, fdatasync ${fdatasync_ms} ms.`
}
