// The shells' halves of completion. They know nothing of the commands: each hands the line up to the cursor to
// `branchline __complete` and shows what it answers, so a new release brings its new commands by itself. An answer
// is one candidate a line: the word, a tab, and what it is.
import { completionRequest } from './answer.ts'

// bash splits words also at ':' and '=', which are in run_ids: the line is handed over whole, and what stands before
// the last of these in the present word is cut off the answers again, since bash replaces only what comes after it.
const bash = `# bash completion for branchline
_branchline() {
  local line="\${COMP_LINE:0:COMP_POINT}" current prefix word
  current="\${line##*[[:space:]]}"
  prefix="\${current%"\${current##*[:=]}"}"
  COMPREPLY=()
  while IFS=$'\\t' read -r word _; do
    if [[ -n "$word" ]]; then COMPREPLY+=("\${word#"$prefix"}"); fi
  done < <("\${COMP_WORDS[0]}" ${completionRequest} "$line" 2>/dev/null)
  if [[ \${#COMPREPLY[@]} -eq 0 ]]; then compopt -o default 2>/dev/null; fi
}
complete -F _branchline branchline
`

const zsh = `#compdef branchline
# zsh completion for branchline
_branchline() {
  local -a candidates
  local word description
  while IFS=$'\\t' read -r word description; do
    if [[ -n "$word" ]]; then candidates+=("\${word//:/\\\\:}:$description"); fi
  done < <("\${words[1]}" ${completionRequest} "\${(j: :)words[1,CURRENT]}" 2>/dev/null)
  if (( \${#candidates} )); then _describe branchline candidates; else _files; fi
}
compdef _branchline branchline
`

const fish = `# fish completion for branchline
function __branchline_complete
  branchline ${completionRequest} (commandline --cut-at-cursor | string collect) 2>/dev/null
end
complete --command branchline --no-files --arguments '(__branchline_complete)'
complete --command branchline --condition '__fish_seen_subcommand_from test' --force-files
`

export const completionScripts = { bash, zsh, fish }
export type ShellName = keyof typeof completionScripts
export const shellNames = Object.keys(completionScripts) as ShellName[]
