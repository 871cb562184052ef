// The Dags of the chaos test: chains, a fan, long and short tasks, commands with children. Each keeps the ledger,
// and retries often enough that every run has to succeed whatever is killed.
import { ledgerFiles } from '../support/ledger.ts'

export const chaosDagIds = ['chain', 'fan', 'shell', 'mixed', 'slow'] as const

/** @param revision makes each push a new version of every Dag */
export function chaosModules(revision: number): Record<string, string> {
  return {
    ...ledgerFiles,
    'revision.ts': `export const revision = ${revision}\n`,
    'chaos.ts': `
      import { bash, chain, dag, task } from 'branchline'
      import { attempt } from './ledger.ts'
      import { revision } from './revision.ts'

      const options = { maxActiveRuns: 100, params: { revision }, defaults: { retries: 1_000, retryDelay: '10ms' } }
      const work = (id, lines, pauseMs, more = {}) =>
        task(id, more, (context) => attempt(context, { lines, pauseMs }))
      const command = (id, pause, more = {}) =>
        bash(id, \`
          . ./account.sh
          line 1
          child sleep \${pause}
          line 2
          child bash -c 'sleep \${pause}; echo from a child'
          wait
          line 3\`, more)

      export const chaosDags = [
        dag('chain', options, () => {
          chain(...[0, 5, 20, 1, 50, 0, 10, 0].map((pauseMs, n) => work('t' + n, 3, pauseMs)))
        }),
        dag('fan', options, () => {
          const first = work('first', 1, 0)
          const wide = [0, 5, 10, 20, 40, 65, 0, 5, 100, 0].map((pauseMs, n) =>
            work('w' + n, 2, pauseMs, { after: [first] }))
          work('last', 1, 0, { after: wide })
        }),
        dag('shell', options, () => {
          chain(command('one', '0.02'), [command('two', '0.1'), command('three', '0.01')], command('four', '0.05'))
        }),
        dag('mixed', options, () => {
          const made = work('made', 2, 5)
          const taken = task('taken', { made }, async ({ made }, context) => {
            if (typeof made.pid !== 'number') throw new Error('no result came')
            return attempt(context, { lines: 2, pauseMs: 10 })
          })
          const fresh = work('fresh', 2, 5, { after: [taken], isolation: 'fresh' })
          command('shell', '0.03', { after: [fresh] })
        }),
        // Outlasts a takeover: whoever takes it over has to end it first.
        dag('slow', options, () => {
          work('long', 5, 1_000)
          command('sleeps', '3')
        }),
      ]
    `,
  }
}
