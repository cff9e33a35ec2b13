/** A session never outlives its credential, its identity or its roles: shown on the whole product, with connections that are open. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { connect as connectV3 } from '@nats-io/transport-node'
import { connect, nkeyAuthenticator } from 'nats'
import { connectWithWebAuthn } from '../../src/client/index.ts'
import { createSessionKey } from '../../src/client/session-key.ts'
import { requestSession } from '../../src/client/session-request.ts'
import { fileKeyFromPkcs8 } from '../../src/client/software-authenticator.ts'
import type { TestPage } from '../support/chromium.ts'
import type { TestAccount } from '../support/oidc-provider.ts'
import { invited, type Visitor } from '../support/page-visitor.ts'
import { type PeopleProduct, startPeopleProduct } from '../support/people-product.ts'
import { type AuditRecord, PERSON } from '../support/product.ts'
import { typed } from '../support/typed-command.ts'

const POLICY = `version: 1
roles:
  chat:
    account: APP
    publish: { allow: ["chat.{{user}}"] }
    require: { class: person, user_verification: true }
  shell: { account: APP, publish: { allow: ["shell.>"] }, plain_sessions: true }
  guarded: { account: APP, publish: { allow: ["guarded.>"] }, plain_sessions: true, require: { approval: true } }
  vault: { account: APP, publish: { allow: ["vault.>"] }, session: 0, plain_sessions: true }
`
const DAY_MS = 86_400_000
const CONNECTED = { ok: true, code: '', message: '' }

const account = (name: string, groups: string[]): TestAccount => ({
  sub: `sub-${name}`,
  claims: { preferred_username: name, name, groups },
})

let people: PeopleProduct
const origin = () => people.product.enrolmentOrigin
before(async () => {
  const accounts = [account('stale', ['staff']), account('mover', ['staff']), account('vic', ['vault'])]
  people = await startPeopleProduct({ policy: POLICY, accounts })
})
after(() => people.stop())

/** Resolves when a record about `handle` whose subject ends so is there. */
async function recorded(ending: string, handle: string): Promise<void> {
  const isIt = ({ subject, body }: AuditRecord) => subject.endsWith(ending) && JSON.stringify(body).includes(`"${handle}"`)
  const late = AbortSignal.timeout(30_000)
  const never = new Promise<never>((_, reject) => {
    late.addEventListener('abort', () => reject(new Error(`waiting for ${ending} of ${handle} in vain`)))
  })
  await Promise.race([people.product.record(isIt), never])
}

async function signIn({ page }: TestPage, name: string): Promise<void> {
  await page.goto(origin())
  await page.getByRole('button', { name: 'Continue with Example Corp' }).click()
  await page.locator(`button[data-account="sub-${name}"]`).click()
  await page.waitForURL(`${origin()}/**`)
}

/** Signs out and in again; the provider remembers who it is. */
async function signInAgain({ page }: TestPage): Promise<void> {
  await page.goto(origin())
  await page.getByRole('button', { name: 'Sign out' }).click()
  const back = page.waitForResponse((response) => response.url().startsWith(`${origin()}/v1/login/callback`))
  await page.getByRole('button', { name: 'Continue with Example Corp' }).click()
  await back
  await page.waitForURL(`${origin()}/**`)
}

/** Somebody who signed in at the provider and enrolled, with the application's page open beside. */
async function atApplication(name: string): Promise<{ home: TestPage; app: TestPage }> {
  const home = await people.browser.open()
  const authenticator = await home.authenticator()
  await signIn(home, name)
  await home.page.getByRole('button', { name: 'Enrol this device' }).click()
  await home.page.getByRole('button', { name: 'Make the passkey' }).click()
  await home.page.getByRole('heading', { name: 'This device is enrolled' }).waitFor()
  // The authenticator is the tab's, so the application takes this tab, and the page another one of the same browser.
  const other = await people.browser.open({ context: home.context })
  await home.page.goto(people.site.origin)
  await home.page.waitForFunction(() => window.harness !== undefined)
  assert.equal((await authenticator.credentials()).length, 1)
  return { home: other, app: home }
}

const connectPage = ({ page }: TestPage, name: string, handle: string) => {
  const request = { servers: people.product.deployment.websocketUrl, rpId: PERSON.rpId, handle }
  return page.evaluate(([to, wish]) => window.harness.connect(to, wish, 'at once'), [name, request] as const)
}
const sees = ({ page }: TestPage, event: string) =>
  page.waitForFunction(
    (wanted) => window.harness.events.some((seen) => seen === wanted || (wanted.endsWith(':') && seen.startsWith(wanted))),
    event,
    { polling: 50, timeout: 60_000 },
  )
const tapsOf = ({ page }: TestPage) => page.evaluate(() => window.harness.taps)
const closing = async ({ page }: TestPage, name: string) =>
  (await page.waitForFunction((wanted) => window.harness.closings[wanted], name, { polling: 50, timeout: 60_000 })).jsonValue()
const publish = ({ page }: TestPage, name: string, subject: string) =>
  page.evaluate(([to, where]) => window.harness.publish(to, where, 'hello'), [name, subject] as const)

describe('roles of the provider', () => {
  test('that grow too old end the open connection, are refused by name, and are there again after a new login', async () => {
    const { home, app } = await atApplication('stale')
    assert.deepEqual(await connectPage(app, 'one', 'stale'), CONNECTED)
    await people.rewrite('webauthn_identities', 'stale', (identity) => ({
      ...identity,
      roles: (identity['roles'] as object[]).map((role) => ({ ...role, asOf: Date.now() - DAY_MS + 5_000 })),
    }))
    // The session comes back while its roles are young enough, and with them it ends: nobody closes this connection.
    await app.page.evaluate(() => window.harness.reconnect('one'))
    await recorded('.connection.granted.session_bound', 'stale')
    await recorded('.denied.roles_stale', 'stale')
    assert.equal((await closing(app, 'one'))?.ok, false)
    assert.equal((await connectPage(app, 'two', 'stale')).code, 'server_refused')
    await signInAgain(home)
    await home.page.getByRole('heading', { name: 'Your access' }).waitFor()
    assert.deepEqual(await connectPage(app, 'three', 'stale'), CONNECTED)
    await home.close()
    await app.close()
  })

  test('that changed change the open connection at the next login, and close it when none is left', async () => {
    const { home, app } = await atApplication('mover')
    assert.deepEqual(await connectPage(app, 'one', 'mover'), CONNECTED)
    await publish(app, 'one', 'shell.here')
    people.idp.accounts.set('sub-mover', account('mover', ['orders-team']))
    await signInAgain(home)
    await sees(app, 'one:reconnect')
    assert.equal(await tapsOf(app), 1)
    await publish(app, 'one', 'shell.here')
    await sees(app, 'one:error:')

    people.idp.accounts.set('sub-mover', account('mover', ['visitors']))
    await signInAgain(home)
    await recorded('.login.refused.roles_none', 'mover')
    await recorded('.denied.roles_none', 'mover')
    assert.equal((await closing(app, 'one'))?.ok, false)
    await home.close()
    await app.close()
  })
})

describe('session: 0', () => {
  test('asks a person for a tap at each connection, and stores no session', async () => {
    const { home, app } = await atApplication('vic')
    assert.deepEqual(await connectPage(app, 'one', 'vic'), CONNECTED)
    await app.page.evaluate(() => window.harness.reconnect('one'))
    await sees(app, 'one:reconnect')
    const { taps, asked } = await app.page.evaluate(() => ({ taps: window.harness.taps, asked: window.harness.asked }))
    assert.deepEqual([taps, asked], [2, ['session_over']])
    assert.deepEqual(
      people.product.records.filter(({ subject, body }) => subject.includes('granted.session') && JSON.stringify(body).includes('"vic"')),
      [],
    )
    await home.close()
    await app.close()
  })

  for (const [library, connectTo] of [
    ['nats 2.x', connect],
    ['@nats-io/transport-node 3.x', connectV3],
  ] as const) {
    test(`has a machine prove itself at each connection, on ${library}`, async () => {
      const handle = `engine-${library.length}`
      const { key, credential } = await people.product.enrolled(handle, { roles: ['vault'] })
      const nc = await connectWithWebAuthn(connectTo as typeof connect, {
        servers: [people.product.url],
        key: {
          key: fileKeyFromPkcs8(new Uint8Array(key.privateKey.export({ format: 'der', type: 'pkcs8' }))),
          credentialId: credential.id,
          rpId: credential.rpId,
          userHandle: credential.userHandle,
          handle,
        },
      })
      await recorded('.connection.granted.proof_endorsing', handle)
      await nc.reconnect()
      await recorded('.connection.granted.proof_endorsing', handle)
      await nc.close()
    })
  }
})

describe("a terminal's session", () => {
  /** A session that a tap endorsed, and a stock client that has nothing else. */
  async function terminal(person: Visitor, handle: string) {
    const key = createSessionKey()
    const asked = await requestSession({ url: origin(), key, host: 'build-7', port: 41_234 })
    const callback = await person.endorse((await person.show({ url: asked.url })).request)
    await asked.complete(new URL(callback ?? '').searchParams.get('code') ?? '')
    const dial = () =>
      connect({
        servers: people.product.url,
        authenticator: nkeyAuthenticator(new TextEncoder().encode(key.seed())),
        inboxPrefix: `_INBOX_${handle}`,
        reconnect: false,
      })
    return { nkey: key.nkey, dial, nc: await dial() }
  }
  async function admin(...args: string[]): Promise<string> {
    const command = typed([...args, '--config', people.product.configFile], {})
    assert.equal(await command.done, 0, command.io.stderr.join('\n'))
    return command.io.stdout.join('\n')
  }

  test('is listed for its person and for the administrator, and either ends it with what is open', async () => {
    const person = await invited(people.product, 'tess', ['shell'])
    const [own, theirs] = [await terminal(person, 'tess'), await terminal(person, 'tess')]
    const shown = (await person.post('/v1/me')).body.person.sessions.map(({ nkey }: { nkey: string }) => nkey)
    assert.deepEqual(shown.sort(), [own.nkey, theirs.nkey].sort())
    const listed = await admin('session', 'list', '--handle', 'tess', '--json')
    for (const { nkey } of [own, theirs]) assert.ok(listed.includes(nkey))

    const ended = own.nc.closed()
    assert.deepEqual((await person.post('/v1/sessions/end', { nkey: own.nkey })).body.connections, { kicked: 1, failed: 0 })
    await ended
    await assert.rejects(own.dial(), { code: 'AUTHORIZATION_VIOLATION' })
    await recorded('.request.denied.session_revoked', 'tess')

    const revoked = theirs.nc.closed()
    await admin('session', 'revoke', theirs.nkey)
    await revoked
    await assert.rejects(theirs.dial(), { code: 'AUTHORIZATION_VIOLATION' })
    assert.deepEqual((await person.post('/v1/me')).body.person.sessions, [])
  })

  test('ends with the identity, and so does the page; both are there again when it is enabled', async () => {
    const person = await invited(people.product, 'dora', ['shell'])
    const { nc, dial } = await terminal(person, 'dora')
    const closed = nc.closed()
    await admin('identity', 'disable', 'dora')
    await closed
    await assert.rejects(dial(), { code: 'AUTHORIZATION_VIOLATION' })
    await recorded('.request.denied.identity_disabled', 'dora')
    assert.notEqual((await person.post('/v1/me')).status, 200)
    await admin('identity', 'enable', 'dora')
    await (await dial()).close()
  })

  test('ends with the device that endorsed it, whoever revokes that', async () => {
    const person = await invited(people.product, 'cleo', ['shell'])
    const { nc, dial } = await terminal(person, 'cleo')
    const closed = nc.closed()
    await admin('credential', 'revoke', person.passkey.id)
    await closed
    await assert.rejects(dial(), { code: 'AUTHORIZATION_VIOLATION' })
    await recorded('.request.denied.credential_revoked', 'cleo')
  })

  test('ends with the roles that an administrator takes back', async () => {
    const person = await invited(people.product, 'rita', ['shell'])
    const { nc, dial } = await terminal(person, 'rita')
    const closed = nc.closed()
    await admin('identity', 'roles', 'rita')
    await closed
    await assert.rejects(dial(), { code: 'AUTHORIZATION_VIOLATION' })
    await recorded('.denied.roles_none', 'rita')
  })

  test('is given by a role that waits for approval once an administrator approved the device', async () => {
    const person = await invited(people.product, 'paul', ['guarded'])
    await assert.rejects(terminal(person, 'paul'), /session_refused|roles_insufficient/)
    await admin('credential', 'approve', person.passkey.id)
    const { nc } = await terminal(person, 'paul')
    await nc.close()
  })
})

test('every step of a person is on record with who allowed it', () => {
  const steps = new Map<string, Set<string>>()
  for (const { subject, body } of people.product.records) {
    const step = subject.split('.').slice(2).join('.')
    if (!/^(enrolment|credential|session|identity)\.succeeded\./.test(step)) continue
    const { facts } = body['unmapped'] as unknown as { facts: Record<string, string | undefined> }
    const { user } = body['actor'] as unknown as { user?: { type: string } }
    const by = facts['allowedBy']?.split(':')[0] ?? (user?.type === 'Admin' ? 'administrator' : 'nobody')
    steps.set(step, (steps.get(step) ?? new Set()).add(`${body['class_uid']} ${by}`))
  }
  const told = Object.fromEntries([...steps].map(([step, by]) => [step, [...by].sort()]))
  const [administrator, device, enrolled] = [['3004 administrator'], ['3004 device'], ['3004 idp', '3004 ticket']]
  assert.deepEqual(told, {
    'identity.succeeded.created': enrolled,
    'identity.succeeded.roles_changed': ['3004 administrator', '3004 idp'],
    'identity.succeeded.disabled': administrator,
    'identity.succeeded.enabled': administrator,
    'enrolment.succeeded.registered': enrolled,
    'enrolment.succeeded.enrolled': enrolled,
    'credential.succeeded.approved': administrator,
    'credential.succeeded.revoked': administrator,
    'session.succeeded.endorsed': device,
    'session.succeeded.completed': device,
    'session.succeeded.revoked': ['3004 administrator', '3004 device'],
  })
})
