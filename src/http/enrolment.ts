/** The routes of machine enrolment (docs/enrolment.md): bodies in, core's answers out. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Occasion } from '../core/enrolment-events.ts'
import { activateCredential, beginEnrolment, type EnrolmentWorld, registerCredential } from '../core/enrolment-steps.ts'
import type { Judged } from '../core/refusal.ts'
import { HttpRefusal } from './http-refusal.ts'
import { readBody } from './json-body.ts'

const ticketCharsMax = 256
// What an owner calls a device: text for people, without anything that could forge a line of a log.
const nameSchema = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[^\p{C}\p{Zl}\p{Zp}]+$/u)
const ticketSchema = z.string().min(1).max(ticketCharsMax)
const ceremonySchema = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/)
// Read strictly by core, where the limits of its parts are.
const responseSchema = z.record(z.string(), z.unknown())

const beginSchema = z.strictObject({ ticket: ticketSchema })
const registerSchema = z.strictObject({ ticket: ticketSchema, ceremony: ceremonySchema, name: nameSchema, response: responseSchema })
const activateSchema = z.strictObject({ ticket: ticketSchema, ceremony: ceremonySchema, response: responseSchema })

type World = EnrolmentWorld & { logger: { info(fields: object, message: string): void } | null }

/** Adds the three steps of an enrolment to `app`. */
export function enrolmentRoutes(app: FastifyInstance, world: World, occasionOf: (request: FastifyRequest) => Occasion): void {
  app.post('/v1/enrol/begin', async (request) => answer(await beginEnrolment(readBody(request, beginSchema), occasionOf(request), world)))
  app.post('/v1/enrol/register', async (request) =>
    answer(await registerCredential(readBody(request, registerSchema), occasionOf(request), world)),
  )
  app.post('/v1/enrol/activate', async (request) => {
    const occasion = occasionOf(request)
    const enrolled = answer(await activateCredential(readBody(request, activateSchema), occasion, world))
    const { id, handle } = enrolled.credential
    world.logger?.info({ handle, credential: id, source: occasion.source }, 'machine enrolled')
    return enrolled
  })
}

function answer<T>(judged: Judged<T>): T {
  if (!judged.ok) throw new HttpRefusal(judged.refusal)
  return judged.value
}
