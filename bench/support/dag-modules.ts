// Sources of the Dag modules that the cases run, as an author would write them. Each is the text of one `.ts` file;
// limits are raised where Airflow's default of 16 would be what is measured.

/** File name → text. */
export type DagModules = Record<string, string>

/** One task, which logs and then says when that line was in the file, by the clock of all processes. */
export function firstLineModule(dagId: string): string {
  return `import { dag, task } from 'branchline'

export default dag('${dagId}', {}, () => {
  task('first', ({ log }) => {
    log.info('first line')
    log.info('written', { at_ns: String(process.hrtime.bigint()) })
  })
})
`
}

/** Tasks in a row, each of which computes fibonacci(10) and returns it. */
export function fibonacciChainModule(dagId: string, length: number): string {
  return `import { dag, task, type Task } from 'branchline'

const fibonacci = (n: number): number => (n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2))

export default dag('${dagId}', {}, () => {
  let previous: Task | undefined
  for (let n = 0; n < ${length}; n += 1) {
    previous = task(\`fibonacci-\${n}\`, { after: previous ? [previous] : [] }, () => fibonacci(10))
  }
})
`
}

/** One task, then `width` at once, then one; none of them does anything. */
export function fanOutModule(dagId: string, width: number): string {
  return `import { dag, task } from 'branchline'

export default dag('${dagId}', { maxActiveTasks: ${width} }, () => {
  const first = task('first', () => {})
  const middle = Array.from({ length: ${width} }, (_, n) => task(\`middle-\${n}\`, { after: [first] }, () => {}))
  task('last', { after: middle }, () => {})
})
`
}

/** `chains` rows of `length` tasks that do nothing. */
export function chainsModule(
  dagId: string,
  shape: { chains: number; length: number; maxActiveTasks?: number; isPaused?: boolean },
): string {
  const options = {
    ...(shape.maxActiveTasks !== undefined && { maxActiveTasks: shape.maxActiveTasks }),
    ...(shape.isPaused !== undefined && { isPausedUponCreation: shape.isPaused }),
  }
  return `import { dag, task, type Task } from 'branchline'

export default dag('${dagId}', ${JSON.stringify(options)}, () => {
  for (let chain = 0; chain < ${shape.chains}; chain += 1) {
    let previous: Task | undefined
    for (let n = 0; n < ${shape.length}; n += 1) {
      previous = task(\`task-\${chain}-\${n}\`, { after: previous ? [previous] : [] }, () => {})
    }
  }
})
`
}

/**
 * A small Dag of a usual kind: a schedule, five tasks, results that travel. It begins far in the future, since a
 * schedule that has begun gets a run at once, which is not what is measured with it.
 */
export function ordinaryModule(dagId: string, marker: string): string {
  return `import { dag, task } from 'branchline'

interface Order {
  region: string
  total: number
}

const marker = '${marker}'

export default dag(
  '${dagId}',
  { schedule: '0 6 * * 1-5', timezone: 'Europe/Berlin', startDate: '2100-01-01', tags: ['sales'] },
  () => {
    const orders = task('extract', { retries: 2 }, (): Order[] => [{ region: marker, total: 1 }])
    const valid = task('validate', { orders }, ({ orders }) => orders.filter((order) => order.total > 0))
    const total = task('sum', { valid }, ({ valid }) => valid.reduce((sum, order) => sum + order.total, 0))
    const count = task('count', { valid }, ({ valid }) => valid.length)
    task('report', { total, count }, ({ total, count }, { log }) => log.info('sold', { total, count }))
  },
)
`
}

/** `count` ordinary modules, each with a Dag of its own. */
export function ordinaryModules(count: number): DagModules {
  return Object.fromEntries(
    Array.from({ length: count }, (_, n) => {
      const dagId = `dag-${String(n).padStart(3, '0')}`
      return [`${dagId}.ts`, ordinaryModule(dagId, 'first')]
    }),
  )
}
