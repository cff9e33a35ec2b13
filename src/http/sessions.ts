/** The page's routes of sessions: ending one's own, and what a terminal asks a person to endorse. */
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { endOwnSession } from '../core/people/session-end-steps.ts'
import { endorsementOptions, endorseSession, refuseSessionRequest, showSessionRequest } from '../core/people/session-request-steps.ts'
import { answer } from './http-refusal.ts'
import { readBody } from './json-body.ts'
import { note, type PeopleHttp, person, view } from './people-http.ts'
import { response, sessionRequest, typedCode, userNkey } from './request-fields.ts'

const endSchema = z.strictObject({ nkey: userNkey })
const requestSchema = z.strictObject({ request: sessionRequest })
const showSchema = z.union([requestSchema, z.strictObject({ code: typedCode })])
const endorseSchema = z.strictObject({ request: sessionRequest, response })

export function sessionRoutes(app: FastifyInstance, http: PeopleHttp): void {
  const { world, buckets, occasionOf } = http

  app.post('/v1/sessions/end', async (request, reply) => {
    const body = readBody(request, endSchema)
    const who = await person(request, reply, http)
    const connections = answer(await endOwnSession(body, who, occasionOf(request), world))
    note(request, http, 'person ended a session', { handle: who.identity.record.handle, session: body.nkey, ...connections })
    return { person: await view(request, reply, http), connections }
  })
  app.post('/v1/session/show', async (request, reply) => {
    const which = readBody(request, showSchema)
    // A code is short enough to guess at, so each guess counts: for the source, and for whoever is signed in.
    if ('code' in which) await buckets.stranger(request, reply)
    const who = await person(request, reply, http)
    if ('code' in which) await buckets.code(request, reply, who.identity.record.handle)
    return answer(await showSessionRequest(which, who, occasionOf(request), world))
  })
  app.post('/v1/session/options', async (request, reply) => {
    const body = readBody(request, requestSchema)
    const who = await person(request, reply, http)
    await buckets.ceremony(request, reply, who.identity.record.handle)
    return answer(await endorsementOptions(body, who, occasionOf(request), world))
  })
  app.post('/v1/session/endorse', async (request, reply) => {
    const body = readBody(request, endorseSchema)
    const who = await person(request, reply, http)
    const endorsed = answer(await endorseSession(body, who, occasionOf(request), world))
    const { handle, session, credential } = occasionOf(request).known
    note(request, http, 'person endorsed a session', { handle, session, credential })
    return endorsed
  })
  app.post('/v1/session/refuse', async (request, reply) => {
    const body = readBody(request, requestSchema)
    const who = await person(request, reply, http)
    answer(await refuseSessionRequest(body, who, occasionOf(request), world))
    note(request, http, 'person refused a session', { handle: who.identity.record.handle })
    return {}
  })
}
