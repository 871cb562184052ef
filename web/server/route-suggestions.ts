// The answer to a path or method that there is not: 404 with the nearest that there is.
import type { FastifyInstance } from 'fastify'
import { NotFoundError } from '../../runtime/errors.ts'
import { didYouMean } from '../../runtime/nearest.ts'

/** Before the first route, since it watches them being added. */
export function suggestRoutes(app: FastifyInstance): void {
  const methodsOf = new Map<string, string[]>()
  app.addHook('onRoute', (route) => {
    methodsOf.set(route.url, [...(methodsOf.get(route.url) ?? []), ...[route.method].flat()])
  })
  app.setNotFoundHandler((request) => {
    const path = request.url.split('?', 1)[0]!.replace(/(.)\/$/, '$1')
    const paths = [...methodsOf].map(([url, methods]) => ({ path: fill(url, path), methods }))
    const same = paths.find((one) => one.path === path)
    const why =
      same === undefined
        ? `there is no ${path}.${didYouMean(
            path,
            paths.map((one) => one.path),
          )} ${openapiHint}`
        : `${path} has no ${request.method}, only ${same.methods.join(' and ')}`
    throw new NotFoundError(why, { details: { method: request.method, path } })
  })
}

const openapiHint = 'GET /api/v2/openapi.json lists every path'

/** The route with the parameters that the path has in the same places: what was meant, if this route was. */
function fill(url: string, path: string): string {
  const asked = path.split('/')
  return url
    .split('/')
    .map((segment, place) => (segment.startsWith(':') ? (asked[place] ?? segment) : segment))
    .join('/')
}
