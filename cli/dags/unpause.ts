// `branchline dags unpause`.
import type { Command } from 'commander'
import type { Terminal } from '../terminal.ts'
import { setPausedCommand } from './set-paused.ts'

export function dagsUnpauseCommand(terminal: Terminal): Command {
  return setPausedCommand(terminal, {
    name: 'unpause',
    description: 'Let a paused Dag run again',
    isPaused: false,
    said: 'is active',
  })
}
