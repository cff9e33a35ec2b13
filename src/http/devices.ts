/** The page's routes of a person's own devices. */
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { activateDevice, beginDevice, registerDevice, removeDevice, renameDevice } from '../core/people/device-steps.ts'
import { viewDevice } from '../core/people/device-view.ts'
import { viewPerson } from '../core/people/person-view.ts'
import { answer } from './http-refusal.ts'
import { readBody } from './json-body.ts'
import { note, type PeopleHttp, person, view, viewIfSignedIn } from './people-http.ts'
import { ceremony, credentialId, nothing, response, shortText } from './request-fields.ts'

const registerSchema = z.strictObject({ ceremony, name: shortText, response })
const activateSchema = z.strictObject({ ceremony, response })
const renameSchema = z.strictObject({ id: credentialId, name: shortText })
const removeSchema = z.strictObject({ id: credentialId })

/** Enrolling a device: begin, register, activate. */
export function deviceEnrolmentRoutes(app: FastifyInstance, http: PeopleHttp): void {
  const { world, buckets, occasionOf } = http

  app.post('/v1/devices/begin', async (request, reply) => {
    readBody(request, nothing)
    const who = await person(request, reply, http)
    await buckets.ceremony(request, reply, who.identity.record.handle)
    return answer(await beginDevice(who, occasionOf(request), world))
  })
  app.post('/v1/devices/register', async (request, reply) => {
    const body = readBody(request, registerSchema)
    return answer(await registerDevice(body, await person(request, reply, http), occasionOf(request), world))
  })
  app.post('/v1/devices/activate', async (request, reply) => {
    const body = readBody(request, activateSchema)
    const occasion = occasionOf(request)
    const { credential } = answer(await activateDevice(body, await person(request, reply, http), occasion, world))
    const { id, handle, aaguid } = credential
    note(request, http, 'person enrolled a device', { handle, credential: id, aaguid })
    const who = await person(request, reply, http)
    const { policy, metadata } = world
    const about = { identity: who.identity.record, policy: policy(), metadata, login: who.login.record, now: occasion.now }
    return { device: viewDevice(credential, about), person: await viewPerson(who, occasion, world) }
  })
}

/** Renaming and removing. */
export function deviceRoutes(app: FastifyInstance, http: PeopleHttp): void {
  const { world, occasionOf } = http

  app.post('/v1/devices/rename', async (request, reply) => {
    const body = readBody(request, renameSchema)
    answer(await renameDevice(body, await person(request, reply, http), occasionOf(request), world))
    return { person: await view(request, reply, http) }
  })
  app.post('/v1/devices/remove', async (request, reply) => {
    const body = readBody(request, removeSchema)
    const who = await person(request, reply, http)
    const connections = answer(await removeDevice(body, who, occasionOf(request), world))
    note(request, http, 'person removed a device', { handle: who.identity.record.handle, credential: body.id, ...connections })
    // The login may have ended with its passkey; what was done is answered all the same.
    return { person: await viewIfSignedIn(request, reply, http), connections }
  })
}
