// Whether attempts left something behind: open handles, timers and children of the process, and processes of its
// group that are nobody's child any more (`server &` in a command that ended). The next attempt would share it, so a
// runner that finds some asks to be replaced.
import { subscribe } from 'node:diagnostics_channel'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { createGroupLook } from '../process-group.ts'

export interface Leftovers {
  /** Call before the first of several attempts. */
  begin(): void
  /** Call after each: is there more than at the beginning? */
  found(): boolean
  /** The same after what is being closed had time to close: a child's handle outlives its exit by a turn or two. */
  remain(): Promise<boolean>
  /** Is a process of an attempt still there? Costs nothing where none was started since the last call. */
  hasProcesses(): boolean
}

/** Turns of the event loop in which handles of ended children and sockets are closed. */
const closingTurns = 3

export function createLeftovers(): Leftovers {
  let before = 0
  let wasStarted = false
  const hasOthers = createGroupLook(process.pid)
  // Node tells it of each child that is started, but not of those that are waited for (spawnSync and its kin).
  subscribe('child_process', () => {
    wasStarted = true
  })
  // The list holds active timers, sockets, children and requests, by kind; its length is what no attempt may raise.
  const count = () => process.getActiveResourcesInfo().length
  const leftovers: Leftovers = {
    begin() {
      before = count()
    },
    found: () => count() > before,
    async remain() {
      for (let turn = 0; turn < closingTurns && leftovers.found(); turn += 1) await nextTurn()
      return leftovers.found()
    },
    hasProcesses() {
      if (!wasStarted) return false
      wasStarted = false
      return hasOthers()
    },
  }
  return leftovers
}
