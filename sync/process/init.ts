// The first process of a container (pid 1) has duties that Node cannot do: it inherits every process whose parent
// died, and must wait for each or they stay as zombies; and no signal ends it that it does not handle. So this
// program, where it finds itself to be pid 1, becomes an init by execve, which starts the program anew as its
// child: tini where there is one, else a few lines of shell, whose `wait` takes every child that ends. The child is
// not pid 1 and so runs on; no mark is needed to keep it from doing the same again. It costs one more start of
// Node (25 ms), which an image saves that starts tini itself.
import { writeSync } from 'node:fs'
import { definedVariables, findInPath } from '../../runtime/environment.ts'
import { ConfigError } from '../../runtime/errors.ts'

/** What git-sync says in this place; on standard error. */
const notice = 'INFO: detected pid 1, running init handler\n'

/**
 * Every signal that a process may handle, by its number on Linux, but those that tell of the handler's own children
 * (17) or faults (4 to 8, 11). 32 and 33 belong to the C library.
 */
const forwardedSignals = [
  ...numbers(1, 3),
  10,
  12,
  ...numbers(13, 16),
  18,
  ...numbers(20, 31),
  ...numbers(34, 64),
]

/**
 * Runs "$@" as a child. Any signal ends `wait`, hence the loop, until the child is gone; its exit code is what the last
 * `wait` said, or says when asked again, unless it no longer knows (127). A signal that comes before the child's id
 * is known is kept until then. In the background a child would read /dev/null: descriptor 3 keeps the real input.
 * bash, as sh, forgets its child after some hundred SIGINT in a row, and the child's exit code where a signal comes in the
 * very moment of its end; then it must at least not spin. dash and tini have neither fault.
 */
const initScript = `
child= pending= forgotten= code=127
forward() {
  if [ -n "$child" ]; then kill -"$1" "$child" 2>/dev/null; else pending="$pending $1"; fi
}
for signal in ${forwardedSignals.join(' ')}; do trap "forward $signal" "$signal" 2>/dev/null; done
exec 3<&0
"$@" <&3 3<&- &
child=$!
exec 3<&- </dev/null
for signal in $pending; do kill -"$signal" "$child"; done
while kill -0 "$child" 2>/dev/null; do
  [ -z "$forgotten" ] || sleep 1
  wait "$child"
  code=$?
  [ "$code" -ne 127 ] || forgotten=yes
done
wait "$child"
again=$?
[ "$again" -eq 127 ] || code=$again
exit "$code"
`

/**
 * Replaces this process by an init that runs the same program as its child, hands every signal on to it, reaps what
 * it leaves behind, and exits with its exit code or 128 + its signal. To be called first, and only as pid 1: nothing
 * of this process remains. Standard input, output and error go to the child as they are.
 * @param program.command the program and its arguments, by its absolute path
 * @param program.env environment of the child; `PATH` is where the init is looked for
 * @throws ConfigError where there is neither tini nor a shell, or it cannot be run (git-sync's exit code for that
 * is 127)
 */
export function becomeInit(program: { command: readonly string[]; env: NodeJS.ProcessEnv }): never {
  const [path, ...args] = initCommand(program)
  // Not process.stderr, which would leave a pipe in a mode that the init does not expect.
  writeSync(2, notice)
  try {
    // Node 24 ends here with its own message where this fails; later ones throw.
    process.execve!(path, [path, ...args], definedVariables(program.env))
  } catch (error) {
    throw new ConfigError(`cannot run ${path} as pid 1: ${(error as Error).message}`, { cause: error })
  }
  throw new ConfigError(`${path} did not take over as pid 1`)
}

/** The init and its arguments. @throws ConfigError where there is none */
export function initCommand(program: {
  command: readonly string[]
  env: NodeJS.ProcessEnv
}): [string, ...string[]] {
  const tini = findInPath('tini', program.env.PATH)
  if (tini !== undefined) return [tini, '--', ...program.command]
  const shell = findInPath('sh', program.env.PATH ?? '/bin')
  if (shell !== undefined) return [shell, '-c', initScript, 'init', ...program.command]
  throw new ConfigError(
    `this is pid 1, which must be an init, and there is neither tini nor sh in PATH (${program.env.PATH ?? 'not set'}): add one to the image, or start the container with an init of the runtime (docker run --init, shareProcessNamespace: true)`,
  )
}

function numbers(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}
