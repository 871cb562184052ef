// Tokens as an API server projects them into pods, and the two answers by which their keys are found: signed by keys
// of the test, served over HTTP where a program reads them through a kubeconfig.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { tokenAudience } from '../../runtime/execution-api.ts'

export const testIssuer = 'https://kubernetes.default.svc.cluster.local'

export interface TokenClaims {
  namespace: string
  podName: string
  podUid: string
  audience?: string
  issuer?: string
  /** From now; default an hour. */
  expiresInSeconds?: number
}

export interface PodTokens {
  kid: string
  jwk: JWK
  sign(claims: TokenClaims): Promise<string>
  /** Any claims at all. */
  signRaw(claims: Record<string, unknown>): Promise<string>
}

export async function createPodTokens(kid = 'key-1'): Promise<PodTokens> {
  const { privateKey, publicKey } = await generateKeyPair('RS256')
  const jwk = { ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' }
  const signRaw = (claims: Record<string, unknown>) =>
    new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid }).sign(privateKey)
  return {
    kid,
    jwk,
    signRaw,
    sign({ namespace, podName, podUid, audience, issuer, expiresInSeconds = 3_600 }) {
      const now = Math.floor(Date.now() / 1_000)
      return signRaw({
        iss: issuer ?? testIssuer,
        aud: [audience ?? tokenAudience],
        iat: now,
        nbf: now,
        exp: now + expiresInSeconds,
        sub: `system:serviceaccount:${namespace}:default`,
        'kubernetes.io': {
          namespace,
          pod: { name: podName, uid: podUid },
          serviceaccount: { name: 'default', uid: 'b0a7' },
        },
      })
    },
  }
}

export interface KeyServer extends AsyncDisposable {
  url: string
  /** A kubeconfig that names it. */
  kubeconfig: string
}

/** Serves what every API server serves of its keys. */
export async function serveKeys(tokens: PodTokens): Promise<KeyServer> {
  const answers: Record<string, unknown> = {
    '/openid/v1/jwks': { keys: [tokens.jwk] },
    '/.well-known/openid-configuration': { issuer: testIssuer, jwks_uri: '/openid/v1/jwks' },
  }
  const server = createServer((request, response) => {
    const answer = answers[request.url ?? '']
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer ?? { kind: 'Status', code: 404, message: 'not found' }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    kubeconfig: JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'test',
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
      clusters: [{ name: 'test', cluster: { server: url } }],
      users: [{ name: 'test', user: { token: 'test' } }],
    }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}
