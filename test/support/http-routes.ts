/** Every route that the server really has. */
import { createHttpServer } from '../../src/http/server.ts'
import { NO_LIMITS } from './people-service.ts'
import { peopleWorld } from './people-world.ts'

/** Routes that programs call, without a page: terminals', and machines' (docs/http-api.md). */
export const PROGRAM_ROUTES: readonly string[] = [
  '/v1/session/begin',
  '/v1/session/possess',
  '/v1/session/poll',
  '/v1/session/complete',
  '/v1/session/end/begin',
  '/v1/session/end',
]

/** `METHOD path`, without the page's files. `people`: whether it serves people, or machines alone. */
export async function routesOf({ people }: { people: boolean }): Promise<string[]> {
  const world = peopleWorld()
  const app = createHttpServer({
    ...world,
    people: people ? world : null,
    page: null,
    policyHash: () => '',
    logger: null,
    tls: null,
    trustProxy: false,
    rateLimits: NO_LIMITS,
    now: () => new Date(0),
    random: (bytes) => new Uint8Array(bytes),
    uuid: () => '',
  })
  const routes: string[] = []
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of typeof method === 'string' ? [method] : method) routes.push(`${one} ${url}`)
  })
  await app.ready()
  await app.close()
  return routes.sort()
}

/** Paths of the page's own calls: those that may read or set a cookie. */
export async function pageRoutes(): Promise<string[]> {
  const posts = (await routesOf({ people: true })).filter((route) => route.startsWith('POST ')).map((route) => route.slice(5))
  return posts.filter((path) => !PROGRAM_ROUTES.includes(path) && !path.startsWith('/v1/enrol/'))
}
