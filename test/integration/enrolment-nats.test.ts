/** Enrolment over the real stores on real nats-servers, through two verifiers that share them. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { enrolMachine } from '../../src/client/enrol.ts'
import { generateFileKey } from '../../src/client/software-authenticator.ts'
import { ticketId, ticketText } from '../../src/core/enrolment/enrolment.ts'
import { type CredentialId, credentialKey, parseHandle } from '../../src/core/identifiers.ts'
import type { TicketRecord } from '../../src/core/records.ts'
import { type Deployment, startDeployment } from '../support/deployment.ts'
import {
  type Answer,
  type EnrolmentService,
  machine,
  startEnrolmentService,
  ticketRecord,
  verdictOf,
} from '../support/enrolment-service.ts'
import { openVerifier, type TestVerifier } from '../support/links.ts'
import { NATS_LINES } from '../support/nats-server.ts'

interface Verifier {
  verifier: TestVerifier
  service: EnrolmentService
}

async function startVerifier(deployment: Deployment): Promise<Verifier> {
  const verifier = await openVerifier(deployment)
  const { tickets, ceremonies, identities, credentials } = verifier.stores
  const service = await startEnrolmentService({ tickets, ceremonies, identities, credentials: credentials.records })
  return { verifier, service }
}

for (const line of NATS_LINES) {
  describe(`enrolment on nats-server ${line}`, () => {
    let deployment: Deployment
    let one: Verifier
    let two: Verifier
    before(async () => {
      deployment = await startDeployment({ line })
      one = await startVerifier(deployment)
      two = await startVerifier(deployment)
    })
    after(async () => {
      for (const { service, verifier } of [one, two]) {
        await service.stop()
        await verifier.close()
      }
      await deployment.stop()
    })

    async function invite(change: Partial<TicketRecord> = {}): Promise<string> {
      const text = ticketText(randomBytes(32))
      assert.ok(await one.verifier.stores.tickets.create(ticketId(text), ticketRecord(text, Date.now(), change)))
      return text
    }
    const handle = (text: string) => parseHandle(text) ?? assert.fail()
    // From the leader: a verifier's own cache follows a moment later.
    const stateOf = async (id: string) =>
      (await two.verifier.stores.credentials.records.find(credentialKey(id as CredentialId)))?.record.state

    test('a machine that one verifier enrolled is known to the other', async () => {
      const enrolled = await enrolMachine({ url: one.service.base, ticket: await invite(), key: generateFileKey(-8) })
      assert.equal(await stateOf(enrolled.credentialId), 'active')
      assert.equal((await two.verifier.stores.identities.find(handle('orders')))?.state, 'active')
      await enrolMachine({ url: two.service.base, ticket: await invite(), key: generateFileKey(-7) })
    })

    test('a ticket used at one verifier is used at the other', async () => {
      const ticket = await invite({ handle: handle('billing') })
      assert.equal(verdictOf(await machine(one.service, ticket).enrol()), '200')
      assert.equal(verdictOf(await machine(two.service, ticket).enrol()), '403 ticket_invalid')
    })

    test('one ticket at both verifiers at the same moment enrols one machine, fifty times', async () => {
      for (let race = 0; race < 50; race++) {
        const ticket = await invite({ handle: handle(`race-${race}`) })
        const rivals = [machine(one.service, ticket), machine(two.service, ticket)]
        const registered = await Promise.all(rivals.map(async (rival) => rival.register(await rival.begin())))
        const answers = await Promise.all(rivals.map((rival, index) => rival.activate(registered[index] as Answer)))
        assert.deepEqual(answers.map(verdictOf).sort(), ['200', '403 ticket_invalid'])
        const states = await Promise.all(rivals.map(({ credentialId }) => stateOf(credentialId)))
        assert.deepEqual(
          states,
          answers.map(({ status }) => (status === 200 ? 'active' : 'pending')),
        )
      }
    })

    test('one credential id at both verifiers at the same moment is registered once', async () => {
      const { credentialId } = machine(one.service, '')
      const [first, second] = await Promise.all([invite({ handle: handle('left') }), invite({ handle: handle('right') })])
      const answers = await Promise.all([
        machine(one.service, first, { registration: { credentialId } }).enrol(),
        machine(two.service, second, { registration: { credentialId } }).enrol(),
      ])
      assert.deepEqual(answers.map(verdictOf).sort(), ['200', '409 credential_taken'])
    })

    test('a handle that a person has is refused to a machine', async () => {
      const taken = handle('alice')
      const { createIdentity } = one.verifier.stores.identities
      await createIdentity({
        v: 1,
        handle: taken,
        class: 'person',
        issuer: 'https://idp.example',
        subject: '42',
        displayName: 'Alice',
        roles: [],
        claims: {},
        userHandle: 'AA',
        devices: [],
        state: 'active',
        createdAt: 1,
      })
      assert.equal(verdictOf(await machine(two.service, await invite({ handle: taken })).enrol()), '409 handle_taken')
    })

    test('first keys of one machine at both verifiers at the same moment share one identity', async () => {
      const fleet = handle('fleet')
      const tickets = await Promise.all(Array.from({ length: 6 }, () => invite({ handle: fleet })))
      const answers = await Promise.all(
        tickets.map((ticket, index) => machine(index % 2 === 0 ? one.service : two.service, ticket).enrol()),
      )
      assert.deepEqual(answers.map(verdictOf), Array(6).fill('200'))
    })
  })
}
