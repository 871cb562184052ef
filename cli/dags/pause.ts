// `branchline dags pause`.
import type { Command } from 'commander'
import type { Terminal } from '../terminal.ts'
import { setPausedCommand } from './set-paused.ts'

export function dagsPauseCommand(terminal: Terminal): Command {
  return setPausedCommand(terminal, {
    name: 'pause',
    description: 'Start no further runs of a Dag',
    isPaused: true,
    said: 'is paused: runs that have begun go on, no others start',
  })
}
