// What commands have in common: the options of those that speak to the API, and values that several read.
import { Command, InvalidArgumentError } from 'commander'
import type { ApiOptions } from './api/connect.ts'

export interface ApiCommandOptions extends ApiOptions {
  json?: boolean
}

/** A command that speaks to the API, and prints what it says. */
export function apiCommand(name: string, description: string): Command {
  return withApiOptions(new Command(name).description(description).option('--json', "print the API's JSON"))
}

/** Adds what says where the API is. */
export function withApiOptions(command: Command): Command {
  return command
    .option('--api-url <url>', 'where the API is (default: setting api_url)')
    .option('--config <path>', 'configuration file')
}

/** A command that only holds others. */
export function commandGroup(name: string, description: string, commands: readonly Command[]): Command {
  const group = new Command(name).description(description)
  for (const command of commands) group.addCommand(command)
  return group
}

/** A whole number from 1 to `max`, as a parser for commander. */
export function countUpTo(max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= 1 && value <= max) return value
    throw new InvalidArgumentError(`Write a whole number from 1 to ${max}.`)
  }
}

/** No task has more attempts than that. */
const maxTryNumber = 1_000_000

/** The number of an attempt, as a parser for commander. */
export const tryNumber = countUpTo(maxTryNumber)

/** A JSON object, as a parser for commander. */
export function jsonObject(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new InvalidArgumentError(`It is not JSON. Write an object: '{"day": "2026-01-31"}'.`)
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>
  }
  throw new InvalidArgumentError(`Write a JSON object: '{"day": "2026-01-31"}'.`)
}

/** `name=value`, added to those before it: the value is JSON where it reads as such, otherwise text. */
export function nameAndValue(
  text: string,
  before: Record<string, unknown> | undefined,
): Record<string, unknown> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('Write name=value.')
  return { ...before, [text.slice(0, at)]: jsonOrText(text.slice(at + 1)) }
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** ISO 8601; without an offset it is local time, as all times that are printed. The result is UTC. */
export function instant(text: string): string {
  const written = /^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00` : text
  const date = new Date(written)
  if (/^\d{4}-\d{2}-\d{2}T/.test(written.replace(' ', 'T')) && !Number.isNaN(date.getTime())) {
    return date.toISOString()
  }
  throw new InvalidArgumentError(
    "Write '2026-01-31', '2026-01-31T06:00' (local time) or '2026-01-31T06:00Z'.",
  )
}
