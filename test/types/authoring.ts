// What compiles and what must not, checked by `tsc`: each `@ts-expect-error` is an error of its own if the line
// below it compiles. Nothing here runs.
import { bash, chain, type Dag, dag, group, type Jsonified, pod, type Task, task } from 'branchline'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function isExactly<A, B>(..._proof: Equal<A, B> extends true ? [] : ['these types differ', A, B]): void {}

interface Order {
  id: number
  region: string
  note?: string
}
declare function fetchOrders(): Promise<Order[]>

export const results: Dag = dag('results', {}, () => {
  const orders = task('extract', () => fetchOrders())
  isExactly<typeof orders, Task<Order[]>>()

  const regions = task('split', { orders }, ({ orders }) => {
    isExactly<typeof orders, Order[]>()
    return [...new Set(orders.map((order) => order.region))]
  })
  isExactly<typeof regions, Task<string[]>>()

  task('load', { orders, regions }, { retries: 2, after: [orders] }, ({ orders, regions }, context) => {
    isExactly<typeof orders, Order[]>()
    isExactly<typeof regions, string[]>()
    isExactly<typeof context.signal, AbortSignal>()
    isExactly<typeof context.logicalDate, Date | null>()
    context.log.info('loaded', { n: orders.length })
    // @ts-expect-error the params of a run are not known to the compiler, so they are to be looked at first
    context.params.limit.toFixed()
  })

  const nothing = task('nothing', () => {})
  isExactly<typeof nothing, Task<undefined>>()
  const command = bash('command', 'true', { inputs: { orders }, env: { A: '1' }, skipExitCode: [99, 100] })
  isExactly<typeof command, Task<undefined>>()

  const etl = group('etl', () => ({ inner: task('inner', () => 1) }))
  isExactly<typeof etl.outputs.inner, Task<number>>()
  task('total', { inner: etl.outputs.inner }, ({ inner }) => inner.toFixed(2))

  chain(orders, [regions, etl], nothing)
  task(
    'last',
    { after: [etl, command], executor: null, executionTimeout: '5m', retryDelay: 500 },
    ({ log }) => log.warn('done'),
  )
  // A task of any result is a task: lists of different ones need no annotation.
  const all: Task[] = [orders, regions, nothing]
  task('all', { after: all }, () => {})
})

export const json: Dag = dag('json', { schedule: '@hourly' }, () => {
  const made = task('made', async () => ({
    at: new Date(),
    run: () => 1,
    tags: new Set<string>(),
    n: [1, null],
  }))
  isExactly<typeof made, Task<{ at: string; tags: Record<string, never>; n: (number | null)[] }>>()
  task('read', { made }, ({ made }) => {
    made.at.slice(0, 10)
    // @ts-expect-error a Date arrives as text
    made.at.getTime()
    // @ts-expect-error a function does not arrive at all
    made.run()
  })
})

interface Tree {
  name: string
  children: Tree[]
}
type Json = string | number | boolean | null | Json[] | { [key: string]: Json }
type Brand = string & { readonly brand: unique symbol }
class Point {
  x = 1
  length(): number {
    return this.x
  }
}
export function jsonified(tree: Jsonified<Tree>, value: Jsonified<Json>): [Tree, Json] {
  isExactly<Jsonified<Brand>, Brand>()
  isExactly<Jsonified<unknown>, unknown>()
  // biome-ignore lint/suspicious/noExplicitAny: the case is about any
  isExactly<Jsonified<any>, any>()
  isExactly<Jsonified<Point>, { x: number }>()
  isExactly<Jsonified<[Date, undefined]>, [string, null]>()
  isExactly<Jsonified<readonly Date[]>, readonly string[]>()
  isExactly<Jsonified<Record<string, Date>>, Record<string, string>>()
  isExactly<Jsonified<{ a?: Date }>, { a?: string }>()
  isExactly<Jsonified<bigint>, never>()
  isExactly<Jsonified<'a' | 1 | undefined>, 'a' | 1 | undefined>()
  isExactly<Jsonified<URL>, string>()
  return [tree, value]
}

export const many: Dag[] = ['north', 'south'].map((region) =>
  dag(`sales-${region}`, { tags: [region] }, () => {
    const parts = Array.from({ length: 3 }, (_, part) => task(`part-${part}`, () => part))
    chain(
      parts,
      task('all', () => region),
    )
  }),
)

export const refused: Dag = dag('refused', {}, () => {
  const orders = task('extract', () => fetchOrders())

  // @ts-expect-error the input has no such property
  task('a', { orders }, ({ orders }) => orders.length.nothing)
  // @ts-expect-error there is no input of that name
  task('b', { orders }, ({ regions }) => regions)
  // @ts-expect-error the function wants other data than the input gives
  task('c', { orders }, ({ orders }: { orders: string }) => orders)
  // @ts-expect-error inputs are tasks, not values
  task('d', { orders: [1, 2] }, () => {})
  // @ts-expect-error an input has a name
  task('e', orders, () => {})
  // @ts-expect-error there is no such option
  task('f', { retires: 2 }, () => {})
  // @ts-expect-error there is no such option, beside inputs either
  task('g', { orders }, { retires: 2 }, () => {})
  // @ts-expect-error after is a list
  task('h', {}, { after: orders }, () => {})
  // @ts-expect-error inputs and options are two objects
  task('i', { orders, retries: 2 }, () => {})
  // @ts-expect-error the trigger rule does not exist
  task('j', { triggerRule: 'all_sucess' }, () => {})
  // @ts-expect-error the function is missing
  task('k', { orders })
  // @ts-expect-error a task's result cannot be used while the Dag is defined
  orders.length
  // @ts-expect-error a command has no result
  task('l', { command: bash('m', 'true') }, ({ command }) => command.length)
  // @ts-expect-error an environment variable is text
  bash('n', 'true', { env: { N: 1 } })
  // @ts-expect-error only tasks and groups can be put in order
  chain(orders, 'load')
  // @ts-expect-error without inputs the function is given the context alone
  task('o', (_inputs, context) => context)
})

dag('overrides', { podOverride: { metadata: { labels: { team: 'data' } } } }, () => {
  task(
    'load',
    {
      podTemplateFile: 'pods/large.yaml',
      podOverride: {
        spec: {
          priorityClassName: null,
          containers: [{ resources: { limits: { memory: '1Gi' } } }, { name: 'proxy', image: 'proxy:1' }],
        },
      },
      spot: { tolerations: [{ key: 'spot', operator: 'Exists' }] },
    },
    () => 1,
  )
  // @ts-expect-error Kubernetes' names are in camel case
  task('case', { podOverride: { spec: { init_containers: [] } } }, () => 1)
  // @ts-expect-error deep within too
  task('deep', { podOverride: { spec: { containers: [{ env: [{ nam: 'A' }] }] } } }, () => 1)
  // @ts-expect-error an override has metadata and spec
  task('top', { podOverride: { containers: [] } }, () => 1)
})

// @ts-expect-error there is no such option
dag('misspelt', { shedule: '@daily' }, () => {})
// @ts-expect-error an interval has a length
dag('interval', { schedule: { each: '5m' } }, () => {})
// @ts-expect-error tasks are defined synchronously
dag('async', {}, async () => {})
// @ts-expect-error after belongs to a task, not to the defaults of all
dag('defaults', { defaults: { after: [] } }, () => {})
// @ts-expect-error a Dag has options, be they empty
dag('no-options', () => {})

dag('pods', {}, () => {
  const trained = pod<{ accuracy: number }>('train', { image: 'trainer:4', doXcomPush: true })
  const moved = pod<number[]>('moved', { image: 'x', do_xcom_push: true, env_vars: { A: '1' }, retries: 2 })
  const silent = pod('silent', { image: 'x', volumeMounts: [{ name: 'v', mountPath: '/v' }] })
  task('report', { trained, moved, silent }, ({ trained, moved, silent }) => {
    isExactly<typeof trained.accuracy, number>()
    isExactly<typeof moved, number[]>()
    isExactly<typeof silent, undefined>()
  })
  // @ts-expect-error there is no such option
  pod('typo', { imag: 'x' })
  // @ts-expect-error a mount is Kubernetes' own
  pod('mount', { image: 'x', volumeMounts: [{ name: 'v', mount_path: '/v' }] })
})
