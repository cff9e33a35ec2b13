/** The routes of machine enrolment (docs/enrolment.md): bodies in, core's answers out. */
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { activateCredential, beginEnrolment, type EnrolmentWorld, registerCredential } from '../core/enrolment/enrolment-steps.ts'
import type { HttpLogger } from './http-logger.ts'
import { answer } from './http-refusal.ts'
import { readBody } from './json-body.ts'
import type { OccasionOf } from './occasions.ts'
import { ceremony, response, shortText, ticket } from './request-fields.ts'

const beginSchema = z.strictObject({ ticket })
const registerSchema = z.strictObject({ ticket, ceremony, name: shortText, response })
const activateSchema = z.strictObject({ ticket, ceremony, response })

type World = EnrolmentWorld & { logger: HttpLogger | null }

/** Adds the three steps of an enrolment to `app`. */
export function enrolmentRoutes(app: FastifyInstance, world: World, occasionOf: OccasionOf): void {
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
