// A look at this machine with commands alone. Exit code 99 skips a task, as in Airflow: here where a command is not
// installed. Commands run in the directory of the run's commit.
import { bash, chain, dag, group } from 'branchline'

/** Runs a command if this machine has it. */
const ifInstalled = (command: string) => `command -v ${command.split(' ')[0]} || exit 99; ${command}`

export default dag(
  'machine',
  { description: 'System, disks and memory of this machine, by bash', schedule: '@hourly' },
  () => {
    const system = bash('system', 'uname -a; date; pwd')

    const look = group('look', () => {
      bash('disks', 'df -h .')
      // Linux has the one and macOS the other: one of the two is skipped.
      bash('memory', ifInstalled('free -h'))
      bash('memory-macos', ifInstalled('vm_stat'))
    })

    // Options become environment variables without quoting trouble.
    const files = bash('files', 'find . -name "$PATTERN" -not -path "./.git/*" | wc -l', {
      env: { PATTERN: '*.ts' },
    })

    // Without data between them: first `system`, then side by side the group and `files`.
    chain(system, [look, files])
  },
)
