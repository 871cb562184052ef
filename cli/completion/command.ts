// `branchline completion bash|zsh|fish`.
import { Argument, Command } from 'commander'
import type { Terminal } from '../terminal.ts'
import { completionScripts, type ShellName, shellNames } from './scripts.ts'

export function completionCommand(terminal: Terminal): Command {
  return new Command('completion')
    .description('Print the script that completes commands, options, Dags, runs and tasks in a shell')
    .addArgument(new Argument('<shell>').choices(shellNames))
    .addHelpText(
      'after',
      `
To use it at once, and in every new shell:
  bash   source <(branchline completion bash)       and the same line in ~/.bashrc
  zsh    source <(branchline completion zsh)        and the same line in ~/.zshrc, after compinit
  fish   branchline completion fish | source        and: branchline completion fish > ~/.config/fish/completions/branchline.fish`,
    )
    .action((shell: ShellName) => void terminal.stdout.write(completionScripts[shell]))
}
