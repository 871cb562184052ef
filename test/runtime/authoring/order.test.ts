import { chain, DagDefinitionError, dag, group, type Link, type Orderable, type Task, task } from 'branchline'
import fc from 'fast-check'
import { expect, test } from 'vitest'

/** Task id → direct upstream ids, in the manifest's order. */
function edges(define: () => void): Record<string, string[]> {
  const { tasks } = dag('order', {}, define).manifest
  return Object.fromEntries(tasks.map((task) => [task.task_id, task.upstream_task_ids]))
}
const step = (id: string, after: Orderable[] = []) => task(id, { after }, () => {})

test('a chain puts each link after the one before it', () => {
  expect(
    edges(() => {
      const [a, b, c, d, e] = [...'abcde'].map((id) => step(id)) as [Task, Task, Task, Task, Task]
      chain(a, [b, c], d, e)
    }),
  ).toEqual({ a: [], b: ['a'], c: ['a'], d: ['b', 'c'], e: ['d'] })
})

test('lists next to each other go in pairs, and are refused where they differ in length', () => {
  const lists = (...links: string[][]) =>
    edges(() => {
      chain(...links.map((ids): Link => ids.map((id) => step(id))))
    })
  expect(lists(['a', 'b'], ['c', 'd'])).toEqual({ a: [], b: [], c: ['a'], d: ['b'] })
  expect(() => lists(['a', 'b'], ['c', 'd', 'e'])).toThrow(/a list of 2 stands before a list of 3/)
  expect(() => lists(['a', 'b'], [], ['c'])).toThrow(/link 2 is an empty list/)
})

test('a link that is no task is refused', () => {
  expect(() => edges(() => chain(step('a'), 'b' as never))).toThrow(/link 2 is 'b'/)
  expect(() => edges(() => chain([step('a'), undefined as never]))).toThrow(/link 1 is/)
  expect(() => chain()).toThrow(/chain\(\) was called outside of a Dag/)
})

test('a group puts its id before those of its tasks, and is told to the manifest', () => {
  const { manifest } = dag('order', {}, () => {
    group('etl', { tooltip: 'nightly' }, () => {
      step('load')
      group('checks', () => {
        step('load')
      })
    })
    step('load')
  })
  expect(manifest.tasks.map((task) => task.task_id)).toEqual(['etl.load', 'etl.checks.load', 'load'])
  expect(manifest.task_groups).toEqual([
    { group_id: 'etl', tooltip: 'nightly', pod_override: null },
    { group_id: 'etl.checks', tooltip: null, pod_override: null },
  ])
})

test('a group stands in an order with its first and its last tasks, also those ordered later on', () => {
  expect(
    edges(() => {
      const start = step('start')
      const handles: Task[] = []
      const etl = group('etl', () => {
        handles.push(step('x'), step('y'), step('z'))
        chain(handles[0]!, handles[1]!)
      })
      chain(start, etl, step('end'))
      step('report', [etl])
      chain(handles[1]!, handles[2]!)
    }),
  ).toEqual({
    start: [],
    'etl.x': ['start'],
    'etl.y': ['etl.x'],
    'etl.z': ['etl.y'],
    end: ['etl.z'],
    report: ['etl.z'],
  })
})

test('groups within groups and groups after groups join their ends', () => {
  expect(
    edges(() => {
      const outer = group('outer', () => {
        const left = group('left', () => {
          step('a')
          step('b')
        })
        const right = group('right', () => {
          step('c')
        })
        chain(left, right)
      })
      const next = group('next', () => {
        step('d')
        step('e')
      })
      chain(outer, next)
    }),
  ).toEqual({
    'outer.left.a': [],
    'outer.left.b': [],
    'outer.right.c': ['outer.left.a', 'outer.left.b'],
    'next.d': ['outer.right.c'],
    'next.e': ['outer.right.c'],
  })
})

test('what a group returns is at hand outside of it', () => {
  const { manifest } = dag('order', {}, () => {
    const etl = group('etl', () => ({ orders: task('extract', () => [1]) }))
    task('load', { orders: etl.outputs.orders }, ({ orders }) => orders[0])
  })
  expect(manifest.tasks[1]).toMatchObject({ inputs: { orders: 'etl.extract' } })
})

test('a group that cannot stand in an order is refused', () => {
  const etlGroup = () => group('etl', () => ({ inner: step('x') }))
  expect(() =>
    edges(() => {
      const etl = etlGroup()
      chain(etl, etl.outputs.inner)
    }),
  ).toThrow(/group 'etl' of Dag 'order' cannot be ordered against 'etl\.x', which is within it/)
  expect(() =>
    edges(() => {
      const etl = etlGroup()
      chain(etl, etl)
    }),
  ).toThrow(/group 'etl' .* cannot be ordered against itself/)
  expect(() =>
    edges(() =>
      chain(
        step('a'),
        group('none', () => {}),
      ),
    ),
  ).toThrow(/group 'none' .* has no tasks/)
  expect(() => edges(() => group('etl', async () => {}))).toThrow(/group 'etl' .* async function/)
  expect(() => edges(() => group('etl', { tip: 1 } as never, () => {}))).toThrow(/there is no option 'tip'/)
  expect(() => edges(() => group('etl', {}, undefined as never))).toThrow(
    /the function that defines its tasks/,
  )
})

test('a cycle is spelt out', () => {
  expect(() =>
    edges(() => {
      const a = step('a')
      const b = step('b', [a])
      const c = task('c', { b }, () => {})
      chain(c, a)
    }),
  ).toThrow(/Dag 'order' has a cycle: a → b → c → a\. /)
  expect(() =>
    edges(() => {
      const a = step('a')
      chain(a, a)
    }),
  ).toThrow(/has a cycle: a → a\. /)
})

test('a chain of 20,000 tasks is sorted', () => {
  const { tasks } = dag('order', {}, () => {
    const handles = Array.from({ length: 20_000 }, (_, index) => step(`t${index}`))
    chain(...handles.reverse())
  }).manifest
  expect(tasks[0]!.task_id).toBe('t19999')
  expect(tasks.at(-1)).toMatchObject({ task_id: 't0', upstream_task_ids: ['t1'] })
})

/** A graph without cycles: tasks in the order in which they are defined, edges along a hidden order. */
const graphs = fc.integer({ min: 1, max: 14 }).chain((size) =>
  fc.record({
    definitionOrder: fc.shuffledSubarray([...Array(size).keys()], { minLength: size }),
    edges: fc.array(
      fc
        .tuple(fc.nat(size - 1), fc.nat(size - 1))
        .filter(([a, b]) => a !== b)
        .map(([a, b]): [number, number] => [Math.min(a, b), Math.max(a, b)]),
      size === 1 ? { maxLength: 0 } : { maxLength: 40 },
    ),
  }),
)

function defineGraph(definitionOrder: number[], edges: readonly [number, number][]) {
  return dag('random', {}, () => {
    const handles = new Map(definitionOrder.map((n) => [n, step(`t${n}`)]))
    for (const [a, b] of edges) chain(handles.get(a)!, handles.get(b)!)
  }).manifest.tasks
}

test('the manifest of any graph is in topological order and has exactly its edges', () => {
  fc.assert(
    fc.property(graphs, ({ definitionOrder, edges }) => {
      const tasks = defineGraph(definitionOrder, edges)
      const seen = new Set<string>()
      for (const task of tasks) {
        expect(task.upstream_task_ids.every((id) => seen.has(id))).toBe(true)
        seen.add(task.task_id)
      }
      expect([...seen].sort()).toEqual(definitionOrder.map((n) => `t${n}`).sort())
      const found = tasks.flatMap((task) => task.upstream_task_ids.map((id) => `${id}>${task.task_id}`))
      expect(found.sort()).toEqual([...new Set(edges.map(([a, b]) => `t${a}>t${b}`))].sort())
    }),
  )
})

test('tasks that are defined in a possible order keep it', () => {
  fc.assert(
    fc.property(graphs, ({ definitionOrder, edges }) => {
      const inOrder = [...definitionOrder].sort((a, b) => a - b)
      expect(defineGraph(inOrder, edges).map((task) => task.task_id)).toEqual(inOrder.map((n) => `t${n}`))
    }),
  )
})

test('every edge back is refused with a cycle of edges that exist', () => {
  fc.assert(
    fc.property(graphs, fc.nat(), fc.nat(), ({ definitionOrder, edges }, pick, hops) => {
      fc.pre(edges.length > 0)
      const [top, first] = edges[pick % edges.length]!
      // Some way downstream of the edge, so that the cycle may be longer than two.
      let bottom = first
      for (let hop = hops % 4; hop > 0; hop--) {
        bottom = edges.find(([from]) => from === bottom)?.[1] ?? bottom
      }
      const all = [...edges, [bottom, top] as [number, number]]
      let cycle: string[] = []
      try {
        defineGraph(definitionOrder, all)
      } catch (error) {
        expect(error).toBeInstanceOf(DagDefinitionError)
        cycle = (error as DagDefinitionError).details.cycle as string[]
        expect((error as Error).message).toContain(cycle.join(' → '))
      }
      expect(cycle.length).toBeGreaterThanOrEqual(3)
      expect(cycle.at(-1)).toBe(cycle[0])
      expect(new Set(cycle).size).toBe(cycle.length - 1)
      for (const [index, id] of cycle.slice(1).entries()) {
        expect(all.some(([a, b]) => `t${a}` === cycle[index] && `t${b}` === id)).toBe(true)
      }
    }),
  )
})
