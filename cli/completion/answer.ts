// `branchline __complete <line up to the cursor>`: what could stand there. Commands and options come from commander's
// definitions, dag_ids, run_ids and task_ids from the API, which has a moment to answer: a shell that hangs at a
// key is worse than no candidates. Nothing that goes wrong here is said, since it would stand in the line.
import type { Command, Option } from 'commander'
import type { Terminal } from '../terminal.ts'
import type { Candidate } from './candidate.ts'
import { nameCandidates } from './names.ts'

/** The hidden command. */
export const completionRequest = '__complete'

/** Prints the candidates that begin with the line's last word, one a line: word, tab, description. */
export async function answerCompletion(root: Command, terminal: Terminal, line: string): Promise<void> {
  const words = line.split(/\s+/).slice(1)
  const current = words.pop() ?? ''
  const candidates = await candidatesFor(root, words, current).catch(() => [])
  const fitting = candidates.filter(({ word }) => word.startsWith(current))
  terminal.print(...fitting.map(({ word, description }) => `${word}\t${description}`))
}

/** @param words complete ones, between `branchline` and the present one */
async function candidatesFor(root: Command, words: readonly string[], current: string): Promise<Candidate[]> {
  const { command, given, options, awaiting } = readWords(root, words)
  if (awaiting?.long === '--run') return await nameCandidates('run_id', { given, apiOptions: options })
  if (awaiting !== undefined) return valuesOf(awaiting)
  if (current.startsWith('-')) return optionsOf(command, words)
  if (command.commands.length > 0) {
    return command.commands.map((one) => ({
      word: one.name(),
      description: one.summary() || one.description(),
    }))
  }
  const argument = command.registeredArguments[given.length] ?? variadicArgument(command)
  if (argument === undefined) return []
  if (argument.argChoices !== undefined) return argument.argChoices.map((word) => ({ word, description: '' }))
  return await nameCandidates(argument.name(), { given, apiOptions: options })
}

interface ReadWords {
  command: Command
  /** Arguments of the command that stand before the cursor. */
  given: string[]
  /** Where the API is, as far as the line says so. */
  options: { apiUrl?: string; config?: string }
  /** The option whose value is to come. */
  awaiting: Option | undefined
}

function readWords(root: Command, words: readonly string[]): ReadWords {
  const read: ReadWords = { command: root, given: [], options: {}, awaiting: undefined }
  for (const word of words) {
    const { awaiting } = read
    read.awaiting = undefined
    if (awaiting !== undefined && !(awaiting.optional && word.startsWith('-'))) {
      if (awaiting.long === '--api-url') read.options.apiUrl = word
      if (awaiting.long === '--config') read.options.config = word
    } else if (word.startsWith('-')) {
      const option = read.command.options.find(({ long, short }) => long === word || short === word)
      if (option !== undefined && (option.required || option.optional)) read.awaiting = option
    } else {
      const subcommand = read.command.commands.find((one) => one.name() === word)
      if (subcommand === undefined) read.given.push(word)
      else read.command = subcommand
    }
  }
  return read
}

function valuesOf(option: Option): Candidate[] {
  return (option.argChoices ?? []).map((word) => ({ word, description: '' }))
}

/** Those that are not on the line yet, and --help. */
function optionsOf(command: Command, words: readonly string[]): Candidate[] {
  const own = command.options
    .filter(({ long, hidden }) => long !== undefined && !hidden && !words.includes(long))
    .map(({ long, description }) => ({ word: long!, description }))
  return [...own, { word: '--help', description: 'display help for command' }]
}

function variadicArgument(command: Command) {
  const last = command.registeredArguments.at(-1)
  return last?.variadic ? last : undefined
}
