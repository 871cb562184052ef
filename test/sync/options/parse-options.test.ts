// What the syntax of arguments means, and what deprecated flags do to the options that took their place.
import { expect, test } from 'vitest'
import { InvalidInputError } from '../../../runtime/errors.ts'
import { checkOptions } from '../../../sync/options/check-options.ts'
import { parse, parseRun, required } from './parse.ts'

test('the last flag wins, a boolean needs no value, others may be apart', () => {
  expect(parse(['--depth', '1', '--depth=2']).depth).toBe(2)
  expect(parse(['--one-time', 'false']).oneTime).toBe(true)
  expect(parse(['--one-time=false'], { GITSYNC_ONE_TIME: 'true' }).oneTime).toBe(false)
  expect(parse(['--ref', '--depth']).ref).toBe('--depth')
  expect(parse(['--link=a=b']).link).toBe('a=b')
  expect(parse(['--link=']).link).toBe('')
})

test('what is no flag is passed over, and -- ends the flags', () => {
  expect(parse(['stray', '--depth', '3', '-', 'stray', '--', '--depth=4', '--nope']).depth).toBe(3)
})

test.for([
  [['--nope'], 'unknown flag: --nope.'],
  [['--nope=secret'], 'unknown flag: --nope.'],
  [['--max-failure=1'], "unknown flag: --max-failure. Did you mean '--max-failures'?"],
  [['---repo'], 'bad flag syntax: ---repo'],
  [['--=x'], 'bad flag syntax: --'],
  [['-x'], "unknown shorthand flag: 'x' in -x."],
  [['-hx'], "unknown shorthand flag: 'x' in -x."],
  [['-repo=x'], "unknown shorthand flag: 'r' in -repo. Did you mean '--repo'?"],
  [['--ref'], 'flag needs an argument: --ref'],
  [['-v'], "flag needs an argument: 'v' in -v"],
  [['-v='], 'invalid argument "=" for "-v, --verbose" flag: '],
  [['-vx'], 'invalid argument "x" for "-v, --verbose" flag: '],
] as const)('the arguments %j are refused as usage', ([argv, message]) => {
  expect(() => parse(argv)).toThrow(InvalidInputError)
  expect(() => parse(argv)).toThrow(message)
})

test('keys for SSH may be several, by flag or separated by colons, and flags replace the rest', () => {
  const flags = ['--ssh-key-file', 'a', '--ssh-key-file=b:c']
  expect(parse(flags, { GITSYNC_SSH_KEY_FILE: 'd' }).sshKeyFile).toEqual(['a', 'b:c'])
  expect(parse([], { GITSYNC_SSH_KEY_FILE: 'c:d' }).sshKeyFile).toEqual(['c', 'd'])
  expect(parse([], { GITSYNC_SSH_KEY_FILE: '' }).sshKeyFile).toEqual([])
})

test('credentials of flags are added to those of the variable, objects and lists alike', () => {
  const entry = (url: string) => ({ url, username: 'n', 'password-file': 'f' })
  const { credential } = parse(
    ['--credential', JSON.stringify(entry('b')), `--credential=${JSON.stringify([entry('c'), entry('d')])}`],
    { GITSYNC_CREDENTIAL: ` ${JSON.stringify(entry('a'))}` },
  )
  expect(credential).toEqual(['a', 'b', 'c', 'd'].map((url) => ({ url, username: 'n', passwordFile: 'f' })))
})

test('--git-config-add adds up, --git-config does not', () => {
  const options = parse(
    ['--git-config=a.b:1', '--git-config=a.c:2', '--git-config-add=x.y:1', '--git-config-add', 'x.z:"2,3"'],
    { GITSYNC_GIT_CONFIG: 'e.f:0' },
  )
  expect(options.gitConfig).toEqual([{ key: 'a.c', value: '2' }])
  expect(options.gitConfigAdd).toEqual([
    { key: 'x.y', value: '1' },
    { key: 'x.z', value: '2,3' },
  ])
})

test.for([
  ['--branch', 'main', 'ref', 'main', 'setting --ref from deprecated --branch'],
  ['--rev', 'v1', 'ref', 'v1', 'setting --ref from deprecated --rev'],
  ['--dest', 'd', 'link', 'd', 'setting --link from deprecated --dest'],
  ['--wait', '0.25', 'period', 250, 'setting --period from deprecated --wait'],
  ['--timeout', '0x10', 'syncTimeout', 16_000, 'setting --sync-timeout from deprecated --timeout'],
  [
    '--max-sync-failures',
    '-1',
    'maxFailures',
    -1,
    'setting --max-failures from deprecated --max-sync-failures',
  ],
  [
    '--sync-hook-command',
    '/h',
    'exechookCommand',
    '/h',
    'setting --exechook-command from deprecated --sync-hook-command',
  ],
  ['--password', 'p', 'password', 'p', 'setting $GITSYNC_PASSWORD from deprecated --password'],
] as const)('%s %s wins over what took its place', ([flag, text, name, value, note]) => {
  const successors = [
    ...['--ref=new', '--link=new', '--period=1h', '--sync-timeout=1h', '--max-failures=7'],
    ...['--exechook-command=/new', '--__env__GITSYNC_PASSWORD=new'],
  ]
  const { options, notes } = parseRun([`${flag}=${text}`, ...successors])
  expect(options[name]).toBe(value)
  expect(notes).toHaveLength(2)
  expect(notes[0]).toMatch(new RegExp(`^Flag ${flag} has been deprecated, use .* instead$`))
  expect(notes[1]).toBe(note)
})

test.for([
  [{ GIT_SYNC_BRANCH: 'b' }, { ref: 'b' }],
  [{ GIT_SYNC_BRANCH: 'b', GIT_SYNC_REV: 'HEAD', GITSYNC_REF: 'r' }, { ref: 'b' }],
  [{ GIT_SYNC_BRANCH: 'b', GIT_SYNC_REV: '' }, { ref: 'b' }],
  [{ GIT_SYNC_REV: 'v', GIT_SYNC_BRANCH: '' }, { ref: 'v' }],
  [{ GIT_SYNC_BRANCH: '', GIT_SYNC_REV: '', GITSYNC_REF: 'r' }, { ref: 'r' }],
  [{ GIT_SYNC_DEST: 'd' }, { link: 'd' }],
  [{ GIT_SYNC_WAIT: '60' }, { period: 60_000 }],
  [{ GIT_SYNC_WAIT: '0.0129' }, { period: 12 }],
  [{ GIT_SYNC_TIMEOUT: '5' }, { syncTimeout: 5_000 }],
  [{ GIT_SYNC_MAX_SYNC_FAILURES: '3' }, { maxFailures: 3 }],
  [{ GIT_SYNC_MAX_SYNC_FAILURES: '0', GITSYNC_MAX_FAILURES: '4' }, { maxFailures: 4 }],
  [{ GIT_SYNC_HOOK_COMMAND: '/h' }, { exechookCommand: '/h' }],
] as const)('the old variables %j make %j', ([env, expected]) => {
  expect(parse([], { ...env })).toMatchObject(expected)
})

test('--v is --verbose of old, and -v is not deprecated', () => {
  expect(parseRun(['--v=3', '-v5']).options.verbose).toBe(3)
  expect(parseRun(['--v=-1', '-v5']).options.verbose).toBe(5)
  expect(parseRun(['--v', '0']).notes).toEqual(['Flag --v has been deprecated, use -v or --verbose instead'])
  expect(parseRun(['-v5']).notes).toEqual([])
})

test('--ssh does nothing but to say so', () => {
  const { options, notes } = parseRun([...required, '--ssh', '--change-permissions=0'])
  expect(notes).toEqual([
    'Flag --ssh has been deprecated, no longer necessary',
    'Flag --change-permissions has been deprecated, use --group-write instead',
  ])
  expect(() => checkOptions(options)).not.toThrow()
})

test('a hidden flag that is empty leaves the variable as it is', () => {
  expect(parse(['--__env__GITSYNC_PASSWORD='], { GITSYNC_PASSWORD: 'p' }).password).toBe('p')
})
