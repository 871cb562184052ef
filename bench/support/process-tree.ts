// What a program and all that it started take of the machine, as Linux' /proc tells.
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { relative, resolve } from 'node:path'

export interface ProcessUse {
  pid: number
  /** The program's file as the top of the source tree sees it, or the command's name. */
  name: string
  /** Of itself and of the children that it has waited for, since their beginnings. */
  cpuSeconds: number
  /** Resident; what several processes share counts in each. */
  rssMib: number
  /** Resident; what several processes share is shared out among them, so a sum is what all of them take. */
  pssMib: number
}

const root = resolve(import.meta.dirname, '../..')
const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** The process and its descendants, without those (and theirs) that `isLeftOut` says. */
export function processTree(pid: number, isLeftOut: (name: string) => boolean): ProcessUse[] {
  const childrenOf = Map.groupBy(allParents(), ([, parent]) => parent)
  const visit = (one: number): ProcessUse[] => {
    const use = readUse(one)
    if (use === undefined || isLeftOut(use.name)) return []
    return [use, ...(childrenOf.get(one) ?? []).flatMap(([child]) => visit(child))]
  }
  return visit(pid)
}

/** What the process itself takes now. @throws Error where it has ended */
export function useOf(pid: number): ProcessUse {
  const use = readUse(pid)
  if (use === undefined) throw new Error(`process ${pid} has ended`)
  return use
}

/** Process → its parent. */
function allParents(): [number, number][] {
  return readdirSync('/proc').flatMap((name): [number, number][] => {
    const pid = Number(name)
    if (!Number.isInteger(pid)) return []
    const fields = statFields(pid)
    return fields === undefined ? [] : [[pid, Number(fields[1])]]
  })
}

/** From the state on, which is the third in proc(5); the name before it may hold spaces and parentheses. */
function statFields(pid: number): string[] | undefined {
  const stat = readOrNothing(`/proc/${pid}/stat`)
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
}

/** undefined where it has ended meanwhile. */
function readUse(pid: number): ProcessUse | undefined {
  const fields = statFields(pid)
  const rollup = readOrNothing(`/proc/${pid}/smaps_rollup`)
  if (fields === undefined || rollup === undefined) return undefined
  const mib = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1] ?? 0) / 1_024
  // utime, stime, cutime and cstime.
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
  return {
    pid,
    name: nameOf(pid),
    cpuSeconds: ticks / ticksPerSecond,
    rssMib: mib('Rss'),
    pssMib: mib('Pss'),
  }
}

function nameOf(pid: number): string {
  const [command = '', ...words] = (readOrNothing(`/proc/${pid}/cmdline`) ?? '').split('\0')
  const program = words.find((word) => /\.[jt]s$/.test(word))
  return program === undefined ? command.slice(command.lastIndexOf('/') + 1) : relative(root, program)
}

function readOrNothing(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
