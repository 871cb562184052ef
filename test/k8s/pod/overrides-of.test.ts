import { bash, dag, group, task } from 'branchline'
import { expect, test } from 'vitest'
import { overridesOf } from '../../../k8s/pod/overrides-of.ts'

const labelled = (who: string) => ({ metadata: { labels: { who } } })

test("a task has its Dag's override, those of its groups from the outside in, and its own", () => {
  const { manifest } = dag('daily', { podOverride: labelled('dag') }, () => {
    group('outer', { podOverride: labelled('outer') }, () => {
      group('silent', () => {
        group('inner', { podOverride: labelled('inner') }, () => {
          task('own', { podOverride: labelled('task') }, () => 1)
          bash('none', 'true')
        })
      })
    })
    group('outer2', { podOverride: labelled('another group') }, () => bash('other', 'true'))
    bash('alone', 'true', { podOverride: labelled('bash') })
  })
  const of = (taskId: string) =>
    overridesOf(manifest, manifest.tasks.find(({ task_id }) => task_id === taskId)!).map(
      ({ metadata }) => metadata!.labels!.who,
    )
  expect(of('outer.silent.inner.own')).toEqual(['dag', 'outer', 'inner', 'task'])
  expect(of('outer.silent.inner.none')).toEqual(['dag', 'outer', 'inner'])
  expect(of('outer2.other')).toEqual(['dag', 'another group'])
  expect(of('alone')).toEqual(['dag', 'bash'])
})
