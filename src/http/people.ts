/** All routes of people, and who may call them (docs/http-api.md). */
import type { FastifyInstance } from 'fastify'
import { fromOurPage, fromTerminal } from './callers.ts'
import { deviceEnrolmentRoutes, deviceRoutes } from './devices.ts'
import { callbackRoute, loginRoutes } from './login.ts'
import { group, type PeopleHttp } from './people-http.ts'
import { sessionRoutes } from './sessions.ts'
import { terminalRoutes } from './terminals.ts'

export function peopleRoutes(app: FastifyInstance, http: PeopleHttp): void {
  const { world } = http
  const caller = fromOurPage(world.origin)
  group(app, { area: 'login', caller: null }, (scope) => {
    scope.get('/v1/page', { config: { bucket: 'light' } }, async () => ({
      providers: world.idp.list().map(({ name, label }) => ({ name, label })),
      rpId: world.rules.person?.rpId ?? null,
    }))
    callbackRoute(scope, http)
  })
  group(app, { area: 'login', caller }, (scope) => loginRoutes(scope, http))
  group(app, { area: 'enrolment', caller }, (scope) => deviceEnrolmentRoutes(scope, http))
  group(app, { area: 'credential', caller }, (scope) => deviceRoutes(scope, http))
  group(app, { area: 'session', caller }, (scope) => sessionRoutes(scope, http))
  group(app, { area: 'session', caller: fromTerminal }, (scope) => terminalRoutes(scope, http))
}
