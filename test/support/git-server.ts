// Real Git remotes for tests: a bare repository on disk, the same behind an HTTP server with a password, and behind
// an sshd. Each is closed by `close` or `await using`.
export * from './git-http-server.ts'
export { createTestRepository, git, type PushOptions, type TestRepository } from './git-repository.ts'
export * from './git-ssh-server.ts'
