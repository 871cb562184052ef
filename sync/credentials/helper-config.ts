// git's configuration for our credentials: shell helpers that answer from their own environment, so that the file
// holds no secret and neither does an argument. Which helper is asked:
// - http(s): git's own matching of `[credential "<url>"]` sections, by which a section of a path goes before the
//   one of its server, and which never asks for another host, also after a redirect. Not `credential.useHttpPath`
//   and one helper for all: that would change what a helper of the operator's own is asked.
// - other schemes (file://, those of wrapper scripts): one general helper that compares protocol, host and path.
// Each section knows all credentials of its server, best first: those of the longest path above the one asked
// for, then those of the whole server, then those of other paths there (a relative submodule lies beside its
// repository). Where git asks for a certain user (https://user@host), only that user's is given.
import { quoteConfigValue } from '../git/git-config-file.ts'
import { shellQuote } from '../git/shell-quote.ts'
import { type CredentialScope, contains, urlOf } from './split-url.ts'

/** What a helper may answer with; its place in the list is its number in the environment. */
export interface HelperSource {
  scope: CredentialScope
  /** Absent: it is known only when it is asked for. */
  username?: string
}

const usernameVariable = 'BRANCHLINE_SYNC_USERNAME_'
const passwordVariable = 'BRANCHLINE_SYNC_PASSWORD_'

/** The variables from which the helpers take the source's user and password. */
export function helperVariables(
  index: number,
  credential: { username: string; password: string },
): Record<string, string> {
  return {
    [`${usernameVariable}${index}`]: credential.username,
    [`${passwordVariable}${index}`]: credential.password,
  }
}

/** The sections of git's configuration that make it ask for these sources; empty where there are none. */
export function helperConfig(sources: readonly HelperSource[]): string {
  const scopes = new Map<string, CredentialScope>()
  for (const { scope } of sources.filter(isHttp)) {
    for (const key of [scope, { ...scope, path: '' }]) scopes.set(urlOf(key), key)
  }
  // git drops a section that matches less well than one before it, so that it asks one helper only.
  const sections = [...scopes.entries()]
    .sort(([, a], [, b]) => b.path.length - a.path.length)
    .map(([url, scope]) => section(` ${quoteConfigValue(url)}`, `n='${bestFirst(sources, scope).join(' ')}'`))
  const others = sources.flatMap((source, index) => (isHttp(source) ? [] : [{ ...source, index }]))
  if (others.length > 0) sections.push(section('', generalChoice(others)))
  return sections.join('')
}

function isHttp({ scope }: HelperSource): boolean {
  return scope.protocol === 'http' || scope.protocol === 'https'
}

/** Numbers of the sources on the server of `scope`, in the order in which they are to be tried for it. */
function bestFirst(sources: readonly HelperSource[], scope: CredentialScope): number[] {
  const onServer = sources
    .map((source, index) => ({ ...source, index }))
    .filter((source) => contains({ ...source.scope, path: '' }, scope))
  return distinctUsers(onServer)
    .map((source) => ({ ...source, rank: contains(source.scope, scope) ? source.scope.path.length : -1 }))
    .sort((a, b) => b.rank - a.rank)
    .map(({ index }) => index)
}

/**
 * Of several sources for the same place and user the last counts, in the place of the first: what git's cache of
 * credentials makes of a list that is stored in it (of several users for one server it answers with the first).
 */
function distinctUsers<Source extends HelperSource & { index: number }>(sources: Source[]): Source[] {
  const users = new Map<string, Source>()
  for (const source of sources) {
    users.set(JSON.stringify([urlOf(source.scope), source.username ?? source.index]), source)
  }
  return [...users.values()]
}

/** The shell's choice among sources whose scheme git's matching of sections does not know. */
function generalChoice(sources: (HelperSource & { index: number })[]): string {
  const tests = distinctUsers(sources)
    .sort((a, b) => b.scope.path.length - a.scope.path.length)
    .map(({ scope, index }) => {
      const server = `${scope.protocol}://${scope.host}/`
      const patterns =
        scope.path === ''
          ? `${shellQuote(server)}*`
          : `${shellQuote(`${server}${scope.path}/`)}*|${shellQuote(`${server}/`)}`
      return `case "$protocol://$host/$path/" in ${patterns}) n="$n ${index}";; esac; `
    })
  return `n=; ${tests.join('')}`.replace(/; $/, '')
}

/**
 * @param choice shell that sets `n` to the numbers to try
 *
 * The helper says nothing where its variables are not set, as for a git that a hook runs.
 */
function section(name: string, choice: string): string {
  const helper = [
    '!f() { test "$1" = get || return 0',
    'protocol= host= path= username=',
    `while IFS= read -r l; do v=\${l#*=}`,
    'case $l in protocol=*) protocol=$v;; host=*) host=$v;; path=*) path=$v;; username=*) username=$v;; esac',
    'done',
    choice,
    `for i in $n; do eval "test -n \\"\\\${${usernameVariable}$i+x}\\"" || continue`,
    `eval "u=\\$${usernameVariable}$i p=\\$${passwordVariable}$i"`,
    `if test -z "$username" || test "$username" = "$u"; then printf 'username=%s\\npassword=%s\\n' "$u" "$p"`,
    'return 0; fi; done; }; f',
  ].join('; ')
  return `[credential${name}]\n\thelper = ${quoteConfigValue(helper)}\n`
}
