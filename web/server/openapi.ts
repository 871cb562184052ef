// The OpenAPI document, made from the schemas of the routes, which are those that requests are checked by.
import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'

const openapiPath = '/api/v2/openapi.json'

/** Before the first route, since it watches them being added. */
export async function describeApi(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Branchline',
        version,
        description: "The paths and names of Airflow's REST API v2, as far as they go.",
      },
      servers: [{ url: '/' }],
      components: {
        securitySchemes: {
          podToken: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'JWT',
            description: 'The token that the kubelet projects into a worker pod.',
          },
        },
      },
    },
  })
  app.get(openapiPath, { schema: { hide: true } }, () => app.swagger())
}
