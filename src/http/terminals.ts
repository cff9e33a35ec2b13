/** The routes of terminals: asking for a session, and ending it. No cookie is read here. */
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { beginSessionEnd, finishSessionEnd } from '../core/people/session-end-steps.ts'
import {
  beginSessionRequest,
  completeSessionRequest,
  pollSessionRequest,
  possessSessionRequest,
} from '../core/people/session-request-steps.ts'
import { answer } from './http-refusal.ts'
import { readBody } from './json-body.ts'
import { note, type PeopleHttp } from './people-http.ts'
import { ceremony, port, secret, sessionRequest, shortText, signature, userNkey } from './request-fields.ts'

// The terminal's listener is where the browser goes after the tap; only that flow has one.
const beginSchema = z.discriminatedUnion('flow', [
  z.strictObject({ flow: z.literal('loopback'), nkey: userNkey, host: shortText, port }),
  z.strictObject({ flow: z.literal('code'), nkey: userNkey, host: shortText }),
])
const possessSchema = z.strictObject({ request: sessionRequest, signature })
const pollSchema = z.strictObject({ request: sessionRequest })
const completeSchema = z.strictObject({ request: sessionRequest, code: secret })
const endBeginSchema = z.strictObject({ nkey: userNkey })
const endSchema = z.strictObject({ ceremony, signature })

const strangers = { config: { bucket: 'strangers' } } as const
const light = { config: { bucket: 'light' } } as const

export function terminalRoutes(app: FastifyInstance, http: PeopleHttp): void {
  const { world, occasionOf } = http

  app.post('/v1/session/begin', strangers, async (request) => {
    const body = readBody(request, beginSchema)
    return answer(await beginSessionRequest({ ...body, port: body.flow === 'loopback' ? body.port : null }, occasionOf(request), world))
  })
  app.post('/v1/session/possess', async (request) => {
    answer(await possessSessionRequest(readBody(request, possessSchema), occasionOf(request), world))
    return {}
  })
  app.post('/v1/session/poll', light, async (request) =>
    answer(await pollSessionRequest(readBody(request, pollSchema), occasionOf(request), world)),
  )
  app.post('/v1/session/complete', async (request) => {
    const completed = answer(await completeSessionRequest(readBody(request, completeSchema), occasionOf(request), world))
    const { handle, nkey } = completed.session
    note(request, http, 'terminal completed a session', { handle, session: nkey })
    return completed
  })
  app.post('/v1/session/end/begin', strangers, async (request) =>
    answer(await beginSessionEnd(readBody(request, endBeginSchema), occasionOf(request), world)),
  )
  app.post('/v1/session/end', async (request) => {
    const ended = answer(await finishSessionEnd(readBody(request, endSchema), occasionOf(request), world))
    const { handle, session } = occasionOf(request).known
    note(request, http, 'terminal ended a session', { handle, session, ...ended })
    return ended
  })
}
