// Statistics of a Git repository's history: by default of the one that this file came from. Three tasks read the
// same commits side by side, and a fourth puts their answers together.
//
//   branchline dags trigger git-history --params '{"repository": "/path/to/another"}'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { dag, TaskFailError, task } from 'branchline'

const run = promisify(execFile)

interface Commit {
  sha: string
  author: string
  /** ISO 8601. */
  date: string
  subject: string
  files: string[]
}

export default dag(
  'git-history',
  {
    description: "Who changed what, and when, in a Git repository's history",
    // Once, when the Dag is first seen; afterwards whenever somebody triggers it.
    schedule: '@once',
    // A run may be given others. '.' is the directory of the run's own commit.
    params: { repository: '.', limit: 5_000 },
    defaults: { retries: 1, retryDelay: '5s' },
  },
  () => {
    const commits = task(
      'commits',
      { executionTimeout: '1m' },
      async ({ params, sourcePath, signal, log }) => {
        const repository = params.repository === '.' ? sourcePath : String(params.repository)
        const found = await readCommits(repository, Number(params.limit), signal)
        log.info('history read', { repository, commits: found.length })
        return found
      },
    )

    const authors = task('authors', { commits }, ({ commits }) =>
      countBy(commits, (commit) => [commit.author]),
    )
    const files = task('files', { commits }, ({ commits }) => countBy(commits, (commit) => commit.files))
    const weekdays = task('weekdays', { commits }, ({ commits }) =>
      countBy(commits, (commit) => [weekdayOf(commit.date)]),
    )

    task(
      'report',
      { commits, authors, files, weekdays },
      ({ commits, authors, files, weekdays }, { log }) => {
        const report = {
          commits: commits.length,
          newest: commits[0]?.subject ?? null,
          busiest_author: top(authors, 1)[0],
          busiest_weekday: top(weekdays, 1)[0],
          most_changed_files: top(files, 5),
        }
        log.info('report', report)
        return report
      },
    )
  },
)

async function readCommits(repository: string, limit: number, signal: AbortSignal): Promise<Commit[]> {
  // Bytes 1 and 2 stand where no author or subject can have them.
  const format = '%x01%H%x02%an%x02%aI%x02%s'
  try {
    const { stdout } = await run('git', ['log', '--name-only', `-n${limit}`, `--format=${format}`], {
      cwd: repository,
      signal,
      maxBuffer: 256 * 1024 * 1024,
    })
    return stdout.split('\x01').slice(1).map(parseCommit)
  } catch (error) {
    signal.throwIfAborted()
    // There is no repository, or no git: another attempt would find the same, so none is made.
    throw new TaskFailError(`the history of ${repository} cannot be read: ${(error as Error).message}`)
  }
}

function parseCommit(text: string): Commit {
  const [head = '', ...files] = text.split('\n').filter((line) => line !== '')
  const [sha = '', author = '', date = '', subject = ''] = head.split('\x02')
  return { sha, author, date, subject, files }
}

function countBy(commits: readonly Commit[], keysOf: (commit: Commit) => string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const key of commits.flatMap(keysOf)) counts[key] = (counts[key] ?? 0) + 1
  return counts
}

function top(counts: Record<string, number>, size: number): { name: string; commits: number }[] {
  return Object.entries(counts)
    .map(([name, commits]) => ({ name, commits }))
    .sort((a, b) => b.commits - a.commits)
    .slice(0, size)
}

function weekdayOf(date: string): string {
  return new Intl.DateTimeFormat('en', { weekday: 'long', timeZone: 'UTC' }).format(new Date(date))
}
