/** The page's routes of signing in and out. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import {
  beginIdpLogin,
  beginPasskeyLogin,
  endLogin,
  finishIdpLogin,
  finishPasskeyLogin,
  loginWithTicket,
  signedIn,
} from '../core/people/login-steps.ts'
import type { PersonView, SignedIn } from '../core/people/people.ts'
import { viewPerson } from '../core/people/person-view.ts'
import type { Judged } from '../core/refusal.ts'
import { callbackQuery } from './callback-query.ts'
import { answer } from './http-refusal.ts'
import { readBody } from './json-body.ts'
import { note, type PeopleHttp, view } from './people-http.ts'
import { ceremony, nothing, response, shortText, ticket } from './request-fields.ts'

const idpSchema = z.strictObject({ provider: shortText, fresh: z.boolean().default(false) })
const ticketSchema = z.strictObject({ ticket })
const passkeySchema = z.strictObject({ ceremony, response })

// Longer than other sockets wait: the provider is asked for its keys, the token and perhaps more, at five seconds each.
const callbackMs = 30_000

const strangers = { config: { bucket: 'strangers' } } as const

/** Signing in, for our page. */
export function loginRoutes(app: FastifyInstance, http: PeopleHttp): void {
  const { world, cookies, occasionOf } = http

  app.post('/v1/login/idp', strangers, async (request, reply) => {
    const body = { ...readBody(request, idpSchema), loginCookie: cookies.login(request, reply) }
    const { url, cookie } = answer(await beginIdpLogin(body, occasionOf(request), world))
    cookies.setIdp(reply, cookie)
    return { url }
  })
  app.post('/v1/login/ticket', strangers, async (request, reply) => {
    const body = { ...readBody(request, ticketSchema), loginCookie: cookies.login(request, reply) }
    return enter(request, reply, { login: await loginWithTicket(body, occasionOf(request), world), http })
  })
  app.post('/v1/login/passkey/begin', strangers, async (request) =>
    answer(await beginPasskeyLogin(readBody(request, nothing), occasionOf(request), world)),
  )
  app.post('/v1/login/passkey/finish', async (request, reply) => {
    const body = { ...readBody(request, passkeySchema), loginCookie: cookies.login(request, reply) }
    return enter(request, reply, { login: await finishPasskeyLogin(body, occasionOf(request), world), http })
  })
  app.post('/v1/logout', async (request, reply) => {
    readBody(request, nothing)
    const cookie = cookies.login(request, reply)
    cookies.clearLogin(reply)
    cookies.clearIdp(reply)
    answer(await endLogin(cookie, occasionOf(request), world))
    note(request, http, 'person signed out', { handle: occasionOf(request).known.handle })
    return {}
  })
  app.post('/v1/me', async (request, reply) => {
    readBody(request, nothing)
    return { person: await view(request, reply, http) }
  })
}

/** Where an identity provider sends the browser: a navigation from another site, held to its redirect by `state` and the cookie. */
export function callbackRoute(app: FastifyInstance, http: PeopleHttp): void {
  const { world, cookies, occasionOf } = http
  app.get('/v1/login/callback', { config: { isNavigation: true } }, async (request, reply) => {
    request.socket.setTimeout(callbackMs)
    const query = callbackQuery(request)
    const browser = { idpCookie: cookies.idp(request, reply), loginCookie: cookies.login(request, reply) }
    const { cookie } = answer(await finishIdpLogin({ ...browser, query }, occasionOf(request), world))
    const { login } = answer(await signedIn(cookie, occasionOf(request), world))
    cookies.clearIdp(reply)
    cookies.setLogin(reply, cookie)
    noteSignIn(request, http, login)
    return reply.redirect('/', 303)
  })
}

/** Gives the browser its new login, and shows whose it is. */
async function enter(
  request: FastifyRequest,
  reply: FastifyReply,
  { login, http }: { login: Judged<{ cookie: string }>; http: PeopleHttp },
): Promise<{ person: PersonView }> {
  const { world, cookies, occasionOf } = http
  const occasion = occasionOf(request)
  const { cookie } = answer(login)
  const entered = answer(await signedIn(cookie, occasion, world))
  const person = await viewPerson(entered, occasion, world)
  cookies.setLogin(reply, cookie)
  noteSignIn(request, http, entered.login)
  return { person }
}

function noteSignIn(request: FastifyRequest, http: PeopleHttp, { record }: SignedIn['login']): void {
  const { handle, how, provider } = record
  note(request, http, 'person signed in', { handle, how, provider })
}
