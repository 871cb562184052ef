// The parts of the manual that are no option: what sync does, what others may rely on, how hooks, passwords and the
// HTTP endpoint work. A line that begins with a space is printed as it is; every other is wrapped.

interface Section {
  title: string
  text: string
}

const beforeOptions: readonly Section[] = [
  {
    title: 'BRANCHLINE SYNC',
    text: 'branchline sync - keeps a directory at the newest commit of a branch',
  },
  { title: 'SYNOPSIS', text: 'branchline sync --repo <url> --root <directory> [options]' },
  {
    title: 'DESCRIPTION',
    text: `Fetches a repository, checks out its newest commit beside the one before, and changes a symbolic link to it in one step. Then it asks again, every --period, and publishes what is new. It takes the place of git-sync with the same flags, variables, files, hooks and endpoints.

As a sidecar container it feeds an application that reads through the link; with --one-time, as an init container, it ends after the first commit. With --listen it needs not wait for the period: whoever is pushed to tells it.

A remote that fails, in whatever way, leaves what was published as it is.`,
  },
  {
    title: 'CONTRACT',
    text: `Two options are required: --repo and --root. The root belongs to sync; what is in it is not to be relied on, but for these:

  <root>/<link>                  a symbolic link to the files of a commit
  <root>/.worktrees/<commit>/    those files; <commit> is the full hash
  <root>/.leases/<commit>/       who reads there (see below)
  <root>/.gate/<commit>.log      what --gate-command printed of it
  <root>/<touch-file>            its time is that of the last publication
  <root>/<error-file>            there while the newest sync failed, or the
                                 gate refuses the newest commit

The link is replaced by a rename. A reader finds the old target or the new one, never none and never a half. The last part of its target is the hash: basename "$(readlink <link>)". A program that reads several files should resolve the link once, and read below what it led to.

The files of a commit are removed --stale-worktree-timeout after another was published in its place. A reader that needs them for longer writes .leases/<commit>/<owner>.json with {"owner", "time", "expires_at"}, times in ISO 8601, by a rename; renews it before it expires; and removes it when done. When it has written the file it looks whether .leases/<commit>/removing exists or the files are gone: then it came too late, and reads the link again.`,
  },
  {
    title: 'VALUES',
    text: `A flag is written --flag=value or --flag value; a boolean --flag or --flag=false. -- ends the flags. Where a flag is given twice the last counts, but for those that may be given several times. Arguments that are no flags are passed over.

A variable is the default of its flag, so that a flag always wins. One that is set but empty counts as set. Older names of a variable win over the newer one, and among several the last; each is told on stderr. Variables that begin with GITSYNC_ or GIT_SYNC_ and that no option reads stop the start (see --unknown-env).

  int         3, 0x10, 0o17, 017 (octal), 0b11, 1_000; 64 bits
  bool        1 t T true TRUE True 0 f F false FALSE False
  duration    numbers with units ns, us, ms, s, m, h: 100ms, 1.5h, 1h30m
  float       1, 0.5, 1e3`,
  },
]

const afterOptions: readonly Section[] = [
  {
    title: 'HOOKS',
    text: `--exechook-command, --pre-publish-exechook-command and --gate-command are each the path of one program, which is run without a shell and without arguments. A path with a slash counts from the files of the commit, so that ./x is a file of the repository; a bare name is looked up in PATH. The program runs in the files of the commit, and finds its full hash in $GITSYNC_HASH. At its timeout it is ended, with all that it started. Exit code 0 is success.

Exechook and webhook run after a commit was published, beside the syncs that go on; also at the first sync of a process, when nothing has changed. A pre-publish exechook is started before, but nothing waits for it. One that fails is run again after its backoff, until it succeeds, with the newest commit by then; commits between may be skipped. So a hook must bear being run twice for a commit, and not at all for another. With --one-time each is run once, and a failure makes the exit code 1.

The gate is different: publication waits for it. While it fails, the commit before stays published, and the error file, the log, GET /status and the metrics say why; its output is kept in <root>/.gate/<commit>.log. It is asked again after --gate-backoff, and at once for another commit.

A webhook is a request by --webhook-method with the header Gitsync-Hash and an empty body. Redirects are followed, and proxies are taken from the environment.`,
  },
  {
    title: 'AUTHENTICATION',
    text: `Without any of these the repository is asked as it is: an https URL without a password, an SSH URL with the key of --ssh-key-file.

User and password: --username with --password-file or $GITSYNC_PASSWORD, or a user in the URL of --repo. --credential does the same for other URLs, for instance those of submodules. Password files are read again before every sync.

--askpass-url: a service that is asked for user and password before every sync. Proxies are taken from the environment, as for GitHub.

GitHub App: --github-app-installation-id, --github-app-client-id or --github-app-application-id, and the key in --github-app-private-key-file or $GITSYNC_GITHUB_APP_PRIVATE_KEY. A token is fetched and renewed by itself. The app must be installed for the repository, and may need no more than to read its contents.

--cookie-file: the cookies in /etc/git-secret/cookie_file, for servers that want those.

SSH: keys by --ssh-key-file, and the servers to trust by --ssh-known-hosts-file. Where the user id has no entry in /etc/passwd, SSH refuses to work; --add-user makes one.

Secrets, and what --git-config says, are handed to git in its environment. They are in no argument of git's, no URL, no configuration file; in logs and in the error file they are replaced by REDACTED.`,
  },
  {
    title: 'PUSH NOTIFICATIONS',
    text: `--listen takes the webhooks of GitHub, GitLab, Gitea, Forgejo and Bitbucket: give there the address of this program with any path, the content type application/json, and the secret that is in --listen-secret-file or $GITSYNC_LISTEN_SECRET. A script of your own signs its POST as GitHub does:

  X-Hub-Signature-256: sha256=<HMAC-SHA256 of the body, in hexadecimal>

A notification that is not signed by the secret is refused. One that speaks of other branches only is answered, and no sync is made.`,
  },
  {
    title: 'HTTP ENDPOINT',
    text: `With --http-bind these are served, from before the first sync on:

  any path        503 until a commit is published, then 200
  GET /status     the commit, the last success and the last error, as JSON
  POST /sync      202: syncs at once; from this machine only
  /metrics        with --http-metrics, for Prometheus
  /debug/pprof/   with --http-pprof

Metrics by git-sync's names; status is success, error or noop:

  git_sync_duration_seconds{status}
  git_sync_count_total{status}
  git_fetch_count_total
  git_sync_askpass_calls{status}
  git_sync_refresh_github_app_token_count{status}
  git_sync_hook_run_count_total{name,status}

And of our own:

  branchline_sync_ready
  branchline_sync_commit_info{commit_sha}
  branchline_sync_commit_timestamp_seconds
  branchline_sync_last_success_timestamp_seconds
  branchline_sync_last_success_age_seconds
  branchline_sync_consecutive_failures
  branchline_sync_fetch_bytes_total
  branchline_sync_fetch_duration_seconds
  branchline_sync_phase_duration_seconds{phase}
  branchline_sync_gate_runs_total{status}

And the usual process_* of a program.`,
  },
  {
    title: 'SIGNALS',
    text: `SIGTERM, SIGINT, SIGHUP and SIGQUIT end it within a second, with every git process that it started. The signal of --sync-on-signal syncs at once. SIGUSR1, SIGUSR2, SIGALRM and SIGPIPE are ignored. As the first process of a container it passes signals on to the sync and reaps what others leave behind.`,
  },
  {
    title: 'EXIT CODES',
    text: `  0         --one-time succeeded; help, manual, version; SIGINT where
            --ref is a hash that is published
  1         configuration; too many failures; with --one-time, a failed
            hook, or a commit that the gate refused
  2         a flag that cannot be read
  127       as first process of a container: the sync cannot be started
  128 + n   ended by signal n: 143 for SIGTERM, 130 for SIGINT`,
  },
  {
    title: 'EXAMPLE',
    text: `  branchline sync \\
      --repo=https://github.com/kubernetes/git-sync \\
      --ref=HEAD \\
      --period=10s \\
      --root=/mnt/git`,
  },
]

/** In their order; the options stand between the two. */
export const manualSections = { beforeOptions, afterOptions } as const
