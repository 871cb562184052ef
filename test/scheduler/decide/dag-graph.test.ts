import { expect, test } from 'vitest'
import { graphOfEdges } from './graphs.ts'

test('edges lead both ways by number', () => {
  const graph = graphOfEdges({ extract: [], check: [], split: ['extract'], load: ['extract', 'split'] })
  expect([...graph.numberOf]).toEqual([
    ['extract', 0],
    ['check', 1],
    ['split', 2],
    ['load', 3],
  ])
  expect(graph.upstream).toEqual([[], [], [0], [0, 2]])
  expect(graph.downstream).toEqual([[2, 3], [], [3], []])
})

test('a higher priority_weight comes first, and topological order decides among equals', () => {
  const graph = graphOfEdges(
    { a: [], b: [], c: [], d: [] },
    { fields: { a: { priority_weight: -1 }, c: { priority_weight: 5 } } },
  )
  expect(graph.byRank.map((task) => graph.tasks[task]!.task_id)).toEqual(['c', 'b', 'd', 'a'])
  expect(graph.byRank.map((task) => graph.rank[task])).toEqual([0, 1, 2, 3])
})

test('a Dag without tasks has an empty graph', () => {
  const graph = graphOfEdges({})
  expect([graph.tasks, graph.upstream, graph.downstream, graph.byRank]).toEqual([[], [], [], []])
})
