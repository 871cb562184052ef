// The first Dag to look at: two tasks, once a minute. Edit the greeting, commit and push: the next run says the new
// one, while a run that has begun finishes with the old.
import { bash, dag, task } from 'branchline'

const greeting = 'Hello'

export default dag(
  'hello',
  { description: 'Greets, every minute', schedule: { every: '1m' }, tags: ['start here'] },
  () => {
    // A task is a function. What it returns is kept, and is JSON.
    const words = task('greet', ({ runId, log }) => {
      const text = `${greeting} from ${runId}`
      log.info(text)
      return { text, at: new Date() }
    })

    // The next task takes it as an input, and the compiler knows its type: a Date has become text by now.
    task('count', { words }, ({ words }) => ({ letters: words.text.length, year: words.at.slice(0, 4) }))

    // A task can be a command, too. Inputs are environment variables, as JSON.
    bash('echo', 'echo "bash was told: $WORDS"', { inputs: { WORDS: words } })
  },
)
