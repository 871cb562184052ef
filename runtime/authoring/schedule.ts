// What may stand in a Dag's `schedule`, and what the manifest makes of it. Presets are spelt out here, so that
// whatever reads a manifest knows cron expressions only. Whether an expression is valid is the timetable's
// word, which has the cron library; authoring stays free of packages.
import type { Duration } from '../duration.ts'
import type { ScheduleManifest } from '../manifest.ts'
import { didYouMean } from '../nearest.ts'
import { checkOptionNames, type OptionPlace, readDurationMs, refuse } from './option-values.ts'

/** Airflow's presets and their expressions. */
const schedulePresets = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@weekly': '0 0 * * 0',
  '@monthly': '0 0 1 * *',
  '@quarterly': '0 0 1 */3 *',
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
} as const

/** Name of a preset. */
export type SchedulePreset = keyof typeof schedulePresets

/**
 * When runs are made: a cron expression, a preset, `'@once'`, a fixed distance, or null for runs that only
 * people and the API start. The odd `string & {}` lets editors offer the presets beside any expression.
 */
export type Schedule = SchedulePreset | '@once' | (string & {}) | { every: Duration } | null

/** Shorter intervals would make runs faster than anything could use them. */
const minimumEveryMs = 1_000

/** @throws DagDefinitionError where it is none of the forms, or a preset that does not exist */
export function readSchedule(at: OptionPlace, value: unknown, timezone: string): ScheduleManifest | null {
  if (value === undefined || value === null) return null
  if (typeof value === 'string') return readScheduleText(at, value.trim(), timezone)
  if (typeof value !== 'object' || !('every' in value)) {
    return refuse(
      at,
      value,
      "a cron expression, a preset such as '@daily', '@once', { every: '10m' } or null",
    )
  }
  checkOptionNames(`${at.place}, option '${at.option}'`, value, ['every'])
  const everyMs = readDurationMs({ ...at, option: `${at.option}.every` }, value.every, minimumEveryMs)
  if (everyMs === null) return refuse({ ...at, option: `${at.option}.every` }, value.every, 'a duration')
  return { type: 'interval', every_ms: everyMs }
}

function readScheduleText(at: OptionPlace, text: string, timezone: string): ScheduleManifest {
  if (text === '@once') return { type: 'once' }
  if (!text.startsWith('@')) {
    return text === ''
      ? refuse(at, text, 'a cron expression; for a Dag without a schedule leave the option out')
      : { type: 'cron', expression: text, timezone }
  }
  if (Object.hasOwn(schedulePresets, text)) {
    return { type: 'cron', expression: schedulePresets[text as SchedulePreset], timezone }
  }
  const known = [...Object.keys(schedulePresets), '@once']
  return refuse(at, text, `one of the presets ${known.join(', ')}.${didYouMean(text, known)}`)
}
