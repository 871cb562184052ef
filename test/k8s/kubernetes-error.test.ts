import { expect, test } from 'vitest'
import {
  errorOfStatus,
  isAlreadyExists,
  isExpired,
  isForbidden,
  isNotFound,
  pushBackOf,
  refusedCall,
  unansweredCall,
} from '../../k8s/kubernetes-error.ts'

function refused(status: number, message: string, reason = '', details?: object, retryAfter?: string) {
  const body = JSON.stringify({ kind: 'Status', status: 'Failure', message, reason, code: status, details })
  return refusedCall('create pod one/two', { status, body, retryAfter })
}

test('a refusal has the call, the server’s own words, its status and its reason', () => {
  const error = refused(409, 'pods "two" already exists', 'AlreadyExists')
  expect(error.message).toBe('create pod one/two: pods "two" already exists')
  expect(error).toMatchObject({ code: 'KUBERNETES', status: 409, reason: 'AlreadyExists', retryable: false })
  expect(isAlreadyExists(error)).toBe(true)
  expect(isNotFound(refused(404, 'gone', 'NotFound'))).toBe(true)
  expect(isForbidden(refused(403, 'no', 'Forbidden'))).toBe(true)
})

test('the text of a proxy that is no Status is shortened to one line', () => {
  const error = refusedCall('read pod a/b', { status: 502, body: '<html>\n  <h1>Bad Gateway</h1>\n</html>' })
  expect(error.message).toBe('read pod a/b: <html> <h1>Bad Gateway</h1> </html>')
  expect(refusedCall('read pod a/b', { status: 503, body: '' }).message).toContain('HTTP status 503')
})

test.each([
  ['429', refused(429, 'too many requests', 'TooManyRequests', undefined, '7'), 7000],
  ['429 whose Status says when', refused(429, 'too many', '', { retryAfterSeconds: 3 }), 3000],
  ['429 that does not say when', refused(429, 'too many'), null],
  [
    'a used-up quota',
    refused(
      403,
      'pods "x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3',
      'Forbidden',
    ),
    null,
  ],
  [
    'a quota that is not counted yet',
    refused(403, 'pods "x" is forbidden: status unknown for quota: q, resources: pods', 'Forbidden'),
    null,
  ],
  [
    'somebody else’s write',
    refused(
      409,
      'Operation cannot be fulfilled on resourcequotas "q": the object has been modified',
      'Conflict',
    ),
    null,
  ],
  ['500', refused(500, 'Internal error occurred: failed calling webhook', 'InternalError'), null],
  ['503', refused(503, 'apiserver is shutting down', 'ServiceUnavailable', undefined, '1'), 1000],
  ['504', refused(504, 'etcdserver: request timed out', 'Timeout'), null],
  ['credentials that are not accepted', refused(401, 'Unauthorized', 'Unauthorized'), null],
  [
    'no answer',
    unansweredCall('create pod one/two', 'the API server', new Error('connect ECONNREFUSED')),
    null,
  ],
])('%s is push-back', (_name, error, waitMs) => {
  expect(pushBackOf(error)).toEqual({ waitMs, reason: error.message })
})

test.each([
  ['the name is taken', refused(409, 'pods "x" already exists', 'AlreadyExists')],
  ['a missing right', refused(403, 'pods is forbidden: User "u" cannot create resource "pods"', 'Forbidden')],
  [
    'a pod without the requests that a quota insists on',
    refused(403, 'pods "x" is forbidden: failed quota: q: must specify requests.cpu for: base', 'Forbidden'),
  ],
  [
    'a namespace that ends',
    refused(
      403,
      'pods "x" is forbidden: unable to create new content in namespace n because it is being terminated',
      'Forbidden',
    ),
  ],
  ['a pod that is none', refused(422, 'Pod "x" is invalid', 'Invalid')],
  ['a missing namespace', refused(404, 'namespaces "n" not found', 'NotFound')],
  ['an object that is larger than etcd takes', refused(500, 'etcdserver: request is too large')],
  ['an error of another kind', new Error('exceeded quota')],
])('%s is no push-back', (_name, error) => {
  expect(pushBackOf(error)).toBeNull()
})

test('a date in Retry-After counts from now', () => {
  const error = refused(503, 'later', '', undefined, new Date(Date.now() + 60_000).toUTCString())
  expect(error.retryAfterMs).toBeGreaterThan(50_000)
  expect(refused(503, 'later', '', undefined, new Date(0).toUTCString()).retryAfterMs).toBe(0)
  expect(refused(503, 'later', '', undefined, 'soon').retryAfterMs).toBeNull()
})

test('a version that is too old is known as an answer and as an event of a watch', () => {
  expect(isExpired(refused(410, 'too old resource version: 1 (5)', 'Expired'))).toBe(true)
  expect(isExpired(refused(410, 'gone', 'Gone'))).toBe(true)
  expect(
    isExpired(errorOfStatus('watch pods of n', { code: 410, reason: 'Expired', message: 'too old' })),
  ).toBe(true)
  expect(isExpired(errorOfStatus('watch pods of n', { code: 500, message: 'etcd' }))).toBe(false)
})
