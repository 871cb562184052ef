// What the kubelet asks. They are outside of /api/v2: nobody else needs them.
//
// `/livez` answers as long as the event loop turns, which is all that a restart can heal here: the server keeps nothing
// but connections. `/readyz` answers 200 once the database has answered and has this release's schema, and from then
// on: so a rolling update does not go on with a server that was given a wrong address or password, but Postgres being
// away later does not take every server out of the Service at once. They answer 503 then, with what is wrong and
// `retry-after`, which tells people and attempts more than a refused connection.
import type { ApiApp } from '../api-app.ts'

export function probeRoutes(app: ApiApp, deps: { isReady: () => boolean }): void {
  app.get('/livez', { schema: { hide: true } }, (_request, reply) => reply.type('text/plain').send('ok\n'))
  app.get('/readyz', { schema: { hide: true } }, (_request, reply) => {
    const isReady = deps.isReady()
    return reply
      .code(isReady ? 200 : 503)
      .type('text/plain')
      .send(isReady ? 'ok\n' : 'postgres has not answered yet\n')
  })
}
