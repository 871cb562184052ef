// The API asks for no password, so on loopback everybody who reaches it is its user; but a web page that this user
// looks at reaches it too. Two things give such a page away: a browser says where a request comes from
// (`Origin`), and a page whose own name was made to resolve to this machine asks under that name (`Host`).
import type { FastifyRequest } from 'fastify'
import { ForbiddenError } from '../../runtime/errors.ts'

const loopbackName = /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/i

/** For `onRequest`. @param host the address that the server listens on */
export function requestGuard(host: string) {
  const isOnLoopback = loopbackName.test(host) || host === '::1'
  return async (request: FastifyRequest): Promise<void> => {
    const asked = request.headers.host ?? ''
    if (isOnLoopback && !loopbackName.test(asked)) {
      throw new ForbiddenError(
        `this server listens on ${host} and was asked for as '${asked}': ask for it as localhost or 127.0.0.1, or let it listen on an address of that name (web_host)`,
        { details: { host: asked } },
      )
    }
    const { origin } = request.headers
    // A proxy that asks under a name of its own says here what it was asked for; a page cannot set this unasked.
    const forwarded = String(request.headers['x-forwarded-host'] ?? asked)
    if (origin !== undefined && !isSameOrigin(origin, asked) && !isSameOrigin(origin, forwarded)) {
      throw new ForbiddenError(`pages of ${origin} may not use this server`, { details: { origin } })
    }
  }
}

/** By host and port; a proxy may have ended TLS before us, so the scheme is not compared. */
function isSameOrigin(origin: string, host: string): boolean {
  try {
    return new URL(origin).host === new URL(`http://${host}`).host
  } catch {
    return false
  }
}
