/** Races about what is given once: tickets and handles, over each verifier's own stores. */
import { randomBytes } from 'node:crypto'
import { ticketId, ticketText } from '../../src/core/enrolment/enrolment.ts'
import { credentialKey } from '../../src/core/identifiers.ts'
import type { TicketRecord } from '../../src/core/records.ts'
import { type Answer, machine, roles, ticketRecord } from './enrolment-service.ts'
import type { RaceField, Rival } from './race-field.ts'
import { pairOf, type RaceKind, violationsOf } from './races.ts'
import { handleOf, identityRecord } from './records.ts'

type Posted = Pick<Answer, 'status' | 'body'>

/** A machine that asks `rival`. */
const machineAt = (rival: Rival, origin: string, ticket: string) =>
  machine<Posted>({ origin, post: (path, body) => rival.post(path, body) as Promise<Posted> }, ticket)

/** `200`, or the reason of the refusal. */
const answerOf = ({ status, body }: Posted): string => (status === 200 ? '200' : String(body?.error?.code))

/** A new ticket's text. */
export async function newTicket({ stores }: Rival, handle: string, change: Partial<TicketRecord> = {}): Promise<string> {
  const text = ticketText(randomBytes(32))
  const record = ticketRecord(text, Date.now(), { handle: handleOf(handle), roles: roles('racer'), ...change })
  if (!(await stores.tickets.create(ticketId(text), record))) throw new Error('writing a ticket: it is there')
  return text
}

const ticket: RaceKind<RaceField> = {
  name: 'one ticket',
  promise: 'of two machines that spend one ticket at two verifiers one is enrolled',
  async lane({ rivals, origin }, lane) {
    return async (n) => {
      const pair = pairOf(rivals, n)
      const text = await newTicket(pair[0], `ticket-${lane}-${n}`)
      const machines = pair.map((rival) => machineAt(rival, origin, text))
      const registered = await Promise.all(machines.map(async ({ begin, register }) => register(await begin())))
      const answers = (await Promise.all(machines.map(({ activate }, i) => activate(registered[i] as Posted)))).map(answerOf)
      const keys = machines.map(({ credentialId }) => credentialKey(credentialId as never))
      const states = await Promise.all(keys.map(async (key) => (await pair[1].stores.credentials.findOnLeader(key))?.record.state))
      const spent = (await pair[1].stores.tickets.find(ticketId(text)))?.record.state
      const checks = {
        'one is enrolled': answers.filter((answer) => answer === '200').length === 1,
        'the other is told that the ticket is spent': answers.includes('ticket_used'),
        'one credential is active': [...states].sort().join(' ') === 'active pending',
        'the ticket is used': spent === 'used',
      }
      return { outcome: [...answers].sort().join(' '), violations: violationsOf(checks, { answers, states, spent }) }
    }
  },
}

const handle: RaceKind<RaceField> = {
  name: 'one handle',
  promise: 'a handle that two subjects want at two verifiers is one subject’s; a subject that is given two handles at once has one',
  async lane({ rivals }, lane) {
    return async (n) => {
      const pair = pairOf(rivals, n)
      const sameSubject = n % 2 === 1
      const name = `handle-${lane}-${n}`
      const records = pair.map((_, i) =>
        sameSubject
          ? identityRecord(`${name}-${i}`, { issuer: 'https://idp.example', subject: name })
          : identityRecord(name, { issuer: 'https://idp.example', subject: `${name}-${i}` }),
      )
      const created = await Promise.all(pair.map((rival, i) => rival.stores.identities.createIdentity(records[i] as never)))
      const won = records.filter((_, i) => created[i] === 'created')
      const there = await Promise.all(records.map(async (record) => (await pair[0].stores.identities.findOnLeader(record.handle))?.record))
      const active = there.filter((record) => record?.state === 'active')
      const found = await Promise.all(records.map(({ issuer, subject }) => pair[1].stores.identities.findBySubject(issuer, subject)))
      const subjects = found.flatMap((stored) => (stored === null ? [] : [stored.record.subject]))
      const checks = {
        'one is created': won.length === 1,
        'the other is refused': created.includes(sameSubject ? 'subject_taken' : 'handle_taken'),
        'the record is the winner’s':
          active.length > 0 && active.every((record) => record?.subject === won[0]?.subject && record?.handle === won[0]?.handle),
        'nobody else is found by it': subjects.length > 0 && subjects.every((subject) => subject === won[0]?.subject),
      }
      const outcome = `${sameSubject ? 'one subject' : 'two subjects'}: ${[...created].sort().join(' ')}`
      return { outcome, violations: violationsOf(checks, { created, there, subjects }) }
    }
  },
}

export const ENROLMENT_RACES: readonly RaceKind<RaceField>[] = [ticket, handle]
