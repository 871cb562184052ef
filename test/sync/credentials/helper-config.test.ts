// Which credential git gets for which address, asked of git itself and shown by clones from servers with passwords.
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type GuardedGitServer, serveGuardedGit } from '../../support/credential-servers.ts'
import { createTestRepository, git, type TestRepository } from '../../support/git-server.ts'
import { temporaryFolder } from '../sync-process.ts'
import { credentialedGit, credentialsFor } from './credentialed-git.ts'

type Row = [
  options: Partial<Parameters<typeof credentialsFor>[0]>,
  answers: Record<string, string | undefined>,
]

const main = { repo: 'https://a.test/org/main.git', username: 'u', password: 'p' }

test.for<[string, ...Row]>([
  [
    'the repository and all else on its server get its credential, and no other server does',
    main,
    {
      'https://a.test/org/main.git': 'u:p',
      'https://a.test/other': 'u:p',
      'https://A.test:443/other': 'u:p',
      'https://u@a.test/other': 'u:p',
      'https://stranger@a.test/other': undefined,
      'https://b.test/org/main.git': undefined,
      'https://sub.a.test/org/main.git': undefined,
      'https://a.test.evil.test/org/main.git': undefined,
      'https://a.test:444/org/main.git': undefined,
      'http://a.test/org/main.git': undefined,
      'https://[::1]:8443/x': undefined,
    },
  ],
  [
    'the longest path goes first, then what is given for the server, then the first of other paths',
    {
      ...main,
      credential: [
        { url: 'https://a.test/org', username: 'o', password: '1' },
        { url: 'https://a.test/org/deep/', username: 'd', password: '2' },
        { url: 'https://a.test/', username: 's', password: '3' },
        { url: 'https://b.test/x', username: 'x', password: '4' },
        { url: 'https://b.test/y', username: 'y', password: '5' },
      ],
    },
    {
      'https://a.test/org/main.git': 'u:p',
      'https://a.test/org/main.git.evil': 'o:1',
      'https://a.test/org/x': 'o:1',
      'https://a.test/org/deep/x/y': 'd:2',
      'https://a.test/organ': 's:3',
      'https://d@a.test/organ': 'd:2',
      'https://b.test/z': 'x:4',
      'https://b.test/y': 'y:5',
      'https://c.test/org': undefined,
    },
  ],
  [
    'addresses are servers too',
    { repo: 'http://[::1]:8080/x', username: 'six', password: '6' },
    { 'http://[::1]:8080/y': 'six:6', 'http://[::1]/x': undefined, 'http://[::2]:8080/x': undefined },
  ],
  [
    'of one user twice for one place the last counts, of two users the first, as in git-sync',
    {
      repo: 'https://a.test/x',
      credential: [
        { url: 'https://a.test', username: 'one', password: 'old' },
        { url: 'https://a.test', username: 'two', password: '2' },
        { url: 'https://a.test', username: 'one', password: 'new' },
      ],
    },
    { 'https://a.test/x': 'one:new', 'https://two@a.test/x': 'two:2' },
  ],
  [
    'letters that URLs, shells and configurations read in their own way stay what they are',
    {
      repo: 'https://a.test/a b/it\'s "q"/$(x)/%2Bu+!*',
      username: 'o\'b $(id) \\ "x" `y` %s',
      password: 'p\'w "d" $HOME \\n %d `id` = ü ',
    },
    {
      'https://a.test/a b/it\'s "q"/$(x)/%2Bu+!*': `o'b $(id) \\ "x" \`y\` %s:p'w "d" $HOME \\n %d \`id\` = ü `,
      'https://a.test/a%20b/it%27s%20%22q%22/%24%28x%29/+u%2B%21%2A/deeper': `o'b $(id) \\ "x" \`y\` %s:p'w "d" $HOME \\n %d \`id\` = ü `,
    },
  ],
  [
    'a scheme of another kind is matched too: protocol, host, and a path that is the same or above',
    {
      repo: "file:///srv/it's/repo",
      username: 'f',
      password: '1',
      credential: [
        { url: 'codestore://eu/x', username: 'c', password: '2' },
        { url: 'codestore://us', username: 'a', password: '3' },
      ],
    },
    {
      "file:///srv/it's/repo": 'f:1',
      "file:///srv/it's/repo/sub": 'f:1',
      "file:///srv/it's/repository": undefined,
      'file:///srv': undefined,
      'codestore://eu/x': 'c:2',
      'codestore://eu/y': undefined,
      'codestore://us/any': 'a:3',
      'codestore://us:1/any': undefined,
      'https://us/any': undefined,
    },
  ],
])('%s', async ([, options, answers]) => {
  await using folder = await temporaryFolder()
  const asked = await credentialedGit(await credentialsFor({ repo: '', ...options }), folder.path)
  const got: Record<string, string | undefined> = {}
  for (const url of Object.keys(answers)) got[url] = await asked.fill(url)
  expect(got).toEqual(answers)
})

test('a git without the variables, as one that a hook runs, is not answered', async () => {
  await using folder = await temporaryFolder()
  const asked = await credentialedGit(await credentialsFor(main), folder.path)
  const stdin = `url=${main.repo}\n\n`
  const GIT_ASKPASS = 'echo'
  expect((await asked.run(['credential', 'fill'], { stdin, env: { GIT_ASKPASS } })).stdout).toContain(
    'password=p\n',
  )
  const unset = { BRANCHLINE_SYNC_USERNAME_0: undefined, BRANCHLINE_SYNC_PASSWORD_0: undefined }
  const { stdout } = await asked.run(['credential', 'fill'], { stdin, env: { GIT_ASKPASS, ...unset } })
  expect(stdout).toContain("password=Password for 'https://")
})

test("a helper of the operator's own is asked where there is no credential of ours, and only there", async () => {
  await using folder = await temporaryFolder()
  const asked = await credentialedGit(await credentialsFor(main), folder.path)
  const helper = 'credential.helper=!f() { echo username=own; echo password=helper; }; f'
  for (const [url, password] of [
    [main.repo, 'p'],
    ['https://b.test/x', 'helper'],
  ]) {
    const { stdout } = await asked.run(['-c', helper, 'credential', 'fill'], { stdin: `url=${url}\n\n` })
    expect(stdout).toContain(`password=${password}\n`)
  }
})

describe('git servers with passwords', () => {
  const users = {
    '/one.git': { username: 'one', password: 'p/1 @:' },
    '/two.git': { username: 'two', password: 'p%2"\'' },
    '/origin.git': { username: 'main', password: 'main password' },
  }
  const elsewhere = { username: 'else', password: 'else password' }
  let repository: TestRepository
  let here: GuardedGitServer
  let there: GuardedGitServer

  beforeAll(async () => {
    repository = await createTestRepository()
    for (const name of ['one', 'two']) {
      await git(repository.folder, ['clone', '--quiet', '--bare', repository.path, `${name}.git`])
    }
    there = await serveGuardedGit({ folder: repository.folder, users: { '/': elsewhere } })
    here = await serveGuardedGit({
      folder: repository.folder,
      users,
      redirects: { '/moved': there.origin },
    })
  })
  afterAll(async () => {
    await here?.[Symbol.asyncDispose]()
    await there?.[Symbol.asyncDispose]()
    await repository?.close()
  })

  /** Clones with submodules; what each server was told while that ran. */
  async function clone(options: Parameters<typeof credentialsFor>[0], args: string[] = []) {
    await using folder = await temporaryFolder()
    const credentials = await credentialsFor(options)
    const cloning = await credentialedGit(credentials, folder.path)
    const [seenHere, seenThere] = [here.seen.length, there.seen.length]
    const result = await cloning.run([
      'clone',
      '--quiet',
      '--recurse-submodules',
      ...args,
      credentials.repo,
      'copy',
    ])
    await rm(join(folder.path, 'copy'), { recursive: true, force: true })
    const came = (server: GuardedGitServer, from: number) => [...new Set(server.seen.slice(from))]
    return { ...result, here: came(here, seenHere), there: came(there, seenThere) }
  }

  test('two servers get each its own', async () => {
    const credential = [
      { url: here.origin, ...users['/one.git'] },
      { url: there.origin, ...elsewhere },
    ]
    expect(await clone({ repo: `${here.origin}/one.git`, credential })).toMatchObject({
      exitCode: 0,
      here: ['one:p/1 @:'],
      there: [],
    })
    expect(await clone({ repo: `${there.origin}/one.git`, credential })).toMatchObject({
      exitCode: 0,
      here: [],
      there: ['else:else password'],
    })
  })

  test('two paths of one server get each its own, also as submodules beside the repository', async () => {
    const credential = [
      { url: `${here.origin}/one.git`, ...users['/one.git'] },
      { url: `${here.origin}/two.git`, ...users['/two.git'] },
    ]
    for (const [name, { username, password }] of [
      ['one.git', users['/one.git']],
      ['two.git', users['/two.git']],
    ] as const) {
      const result = await clone({ repo: `${here.origin}/${name}`, credential })
      expect(result).toMatchObject({ exitCode: 0, here: [`${username}:${password}`] })
    }
    await setSubmodules({ one: '../one.git', two: '../two.git' })
    const result = await clone({ repo: `${here.origin}/origin.git`, ...users['/origin.git'], credential })
    expect(result.output).toBe('')
    expect(result).toMatchObject({ exitCode: 0, there: [] })
    expect(result.here.toSorted()).toEqual(['main:main password', 'one:p/1 @:', 'two:p%2"\''])
  })

  test('a submodule on the same server gets the credential of the repository, where it has none of its own', async () => {
    await using server = await serveGuardedGit({ folder: repository.folder, users: { '/': elsewhere } })
    await setSubmodules({ one: '../one.git' })
    expect(await clone({ repo: `${server.origin}/origin.git`, ...elsewhere })).toMatchObject({ exitCode: 0 })
    expect(new Set(server.seen)).toEqual(new Set(['else:else password']))
  })

  test('a submodule on another server does not', async () => {
    await setSubmodules({ one: `${there.origin}/one.git` })
    const result = await clone({ repo: `${here.origin}/origin.git`, ...users['/origin.git'] })
    expect(result.exitCode).not.toBe(0)
    expect(result.output).toMatch(/Authentication failed|could not read/)
    expect(result.here).toEqual(['main:main password'])
    expect(result.there.join()).not.toContain('main')
  })

  test('a redirect to another server does not carry it there, and that server gets its own', async () => {
    const own = { repo: `${here.origin}/moved/one.git`, username: 'mover', password: 'moving password' }
    const refused = await clone(own)
    expect(refused.exitCode).not.toBe(0)
    expect(refused.there.join()).not.toContain('mov')
    const followed = await clone({ ...own, credential: [{ url: there.origin, ...elsewhere }] })
    expect(followed).toMatchObject({ exitCode: 0, there: ['else:else password'] })
  })

  test('neither does a redirect that is told only to who knows the password', async () => {
    await using guarded = await serveGuardedGit({
      folder: repository.folder,
      users: { '/': { username: 'mover', password: 'moving password' } },
      redirects: { '/': `${there.origin}/` },
      isRedirectGuarded: true,
    })
    const result = await clone({
      repo: `${guarded.origin}/one.git`,
      username: 'mover',
      password: 'moving password',
    })
    expect(result.exitCode).not.toBe(0)
    expect(guarded.seen).toContain('mover:moving password')
    expect(result.there.join()).not.toContain('mov')
  })

  /** Replaces the submodules of the repository; each is at the commit that `one.git` and `two.git` have. */
  async function setSubmodules(urls: Record<string, string>): Promise<void> {
    const commit = await git(join(repository.folder, 'one.git'), ['rev-parse', 'main'])
    for (const name of ['one', 'two']) {
      await rm(join(repository.clone, name), { recursive: true, force: true })
      await git(repository.clone, ['rm', '--quiet', '--cached', '--ignore-unmatch', name])
    }
    const sections: string[] = []
    for (const [name, url] of Object.entries(urls)) {
      // An empty folder is how git has a submodule that is not checked out.
      await mkdir(join(repository.clone, name))
      await git(repository.clone, ['update-index', '--add', '--cacheinfo', `160000,${commit},${name}`])
      sections.push(`[submodule "${name}"]\n\tpath = ${name}\n\turl = ${url}\n`)
    }
    await repository.commit({ '.gitmodules': sections.join('') })
  }
})
