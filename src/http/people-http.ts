/** What the routes of people share. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { signedIn } from '../core/people/login-steps.ts'
import type { PeopleWorld, PersonView, SignedIn } from '../core/people/people.ts'
import { viewPerson } from '../core/people/person-view.ts'
import type { RefusalArea } from '../core/refusal.ts'
import type { Caller } from './callers.ts'
import type { Cookies } from './cookies.ts'
import type { HttpLogger } from './http-logger.ts'
import { answer } from './http-refusal.ts'
import type { OccasionOf } from './occasions.ts'
import type { Buckets } from './rate-limits.ts'

export interface PeopleHttp {
  world: PeopleWorld
  cookies: Cookies
  buckets: Buckets
  occasionOf: OccasionOf
  logger: HttpLogger | null
}

/** Whose login the request's cookie is. */
export async function person(request: FastifyRequest, reply: FastifyReply, http: PeopleHttp): Promise<SignedIn> {
  return answer(await signedIn(http.cookies.login(request, reply), http.occasionOf(request), http.world))
}

/** What there is to see of them now: after a step, what was read before it is out of date. */
export async function view(request: FastifyRequest, reply: FastifyReply, http: PeopleHttp): Promise<PersonView> {
  return viewPerson(await person(request, reply, http), http.occasionOf(request), http.world)
}

/** As `view`, after what may have ended the login: null then, and the browser forgets its cookie. */
export async function viewIfSignedIn(request: FastifyRequest, reply: FastifyReply, http: PeopleHttp): Promise<PersonView | null> {
  const { cookies, world } = http
  const occasion = http.occasionOf(request)
  const who = await signedIn(cookies.login(request, reply), occasion, world)
  if (who.ok) return viewPerson(who.value, occasion, world)
  cookies.clearLogin(reply)
  return null
}

/** One line for something that a person did. `fields` holds no secret. */
export function note(request: FastifyRequest, http: PeopleHttp, message: string, fields: object): void {
  http.logger?.info({ ...fields, source: http.occasionOf(request).source }, message)
}

/** Routes of one area, called by one kind of caller. */
export function group(
  app: FastifyInstance,
  { area, caller }: { area: RefusalArea; caller: Caller | null },
  add: (scope: FastifyInstance) => void,
): void {
  app.register((scope, _, done) => {
    scope.addHook('onRoute', (route) => {
      route.config = { ...route.config, area }
    })
    if (caller !== null) scope.addHook('onRequest', caller)
    add(scope)
    done()
  })
}
