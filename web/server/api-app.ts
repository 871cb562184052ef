// The Fastify application without its routes: how requests are checked, how answers and errors are written. Answers are
// plain JSON.stringify, which is fast and drops nothing; tests hold every answer against its schema.
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Logger } from '../../runtime/log.ts'
import { errorHandler } from './error-handler.ts'
import { describeApi } from './openapi.ts'
import { requestGuard } from './request-guard.ts'
import { requestValidator } from './request-validator.ts'
import { suggestRoutes } from './route-suggestions.ts'

export type ApiApp = Awaited<ReturnType<typeof createApiApp>>

/** Ids have up to 200 letters, each of which may be escaped to three in a path. */
const maxParamLength = 1_000

/** What a trigger's params may have, as JSON. Larger data belongs in a file, by reference. */
const bodyLimitBytes = 1024 * 1024

/** Not listening yet; routes are added before it does. */
export async function createApiApp(deps: { log: Logger; version: string; host: string }) {
  const app = Fastify({
    logger: false,
    exposeHeadRoutes: false,
    bodyLimit: bodyLimitBytes,
    routerOptions: { maxParamLength, ignoreTrailingSlash: true },
  }).withTypeProvider<TypeBoxTypeProvider>()
  app.setValidatorCompiler(requestValidator)
  app.setSerializerCompiler(() => JSON.stringify)
  acceptOnlyJson(app)
  app.setErrorHandler(errorHandler(deps.log))
  app.addHook('onRequest', requestGuard(deps.host))
  suggestRoutes(app)
  await describeApi(app, deps.version)
  return app
}

/** A body that is absent or empty counts as `{}`: every one has only optional parts, or says what it misses. */
function acceptOnlyJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, {})
    else parse(request, body as string, done)
  })
  app.addHook('preValidation', async (request) => {
    if (request.method !== 'GET') request.body ??= {}
  })
}
