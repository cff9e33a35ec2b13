/**
 * Signing in at an identity provider: who comes back, in which browser, how often, and who they are then. It is longer than
 * 300 lines because every attack on the way there and back starts from the same redirect.
 */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { idpSecretsOf, loginIdOf } from '../../src/core/people/login.ts'
import { beginIdpLogin, endLogin, finishIdpLogin, signedIn } from '../../src/core/people/login-steps.ts'
import type { LoginRecord } from '../../src/core/records.ts'
import { loginRefused } from '../../src/core/refusal.ts'
import {
  peopleWorld,
  personPolicy,
  personRole,
  putLogin,
  putPerson,
  refusalOf,
  statementOf,
  type TestPeopleWorld,
} from '../support/people-world.ts'
import { identityRecord, roleOf } from '../support/records.ts'

let world: TestPeopleWorld
beforeEach(() => {
  world = peopleWorld()
})

/** Sends a browser away; what it keeps, and the `state` that went with it. */
async function sendAway(provider = 'corp', { fresh = false, loginCookie = null as string | null } = {}) {
  const begun = await beginIdpLogin({ provider, fresh, loginCookie }, world.occasion(), world)
  assert.ok(begun.ok)
  const url = new URL(begun.value.url)
  const state = url.searchParams.get('state') ?? ''
  return { idpCookie: begun.value.cookie, state, url, query: new URLSearchParams({ code: 'the-code', state }) }
}

function comeBack(request: { idpCookie: string | null; query: URLSearchParams; loginCookie?: string }, occasion = world.occasion()) {
  return finishIdpLogin({ loginCookie: null, ...request }, occasion, world)
}

async function login(provider = 'corp'): Promise<{ cookie: string; record: LoginRecord }> {
  const finished = await comeBack(await sendAway(provider))
  assert.ok(finished.ok, refusalOf(finished))
  const { cookie } = finished.value
  const record = world.logins.get(loginIdOf(cookie) ?? '')
  assert.ok(record !== undefined)
  return { cookie, record }
}

async function refuses(request: Promise<unknown>, refusal: string): Promise<void> {
  assert.equal(refusalOf((await request) as never), refusal)
  assert.equal(world.logins.all().size, 0)
  assert.ok(!world.lifecycle.codes().some((code) => code.startsWith('login.succeeded')))
}

describe('the way there', () => {
  test('carries what is derived of the cookie, and stores none of it', async () => {
    const { idpCookie, state, url } = await sendAway()
    const secrets = idpSecretsOf(idpCookie)
    assert.ok(secrets !== null)
    assert.equal(state, secrets.state)
    assert.equal(url.searchParams.get('nonce'), secrets.nonce)
    const kept = JSON.stringify([...world.idpRequests.all()])
    for (const secret of [idpCookie, ...Object.values(secrets)]) assert.ok(!kept.includes(secret))
    assert.equal(new Set([idpCookie, ...Object.values(secrets)]).size, 4)
  })

  test('asks for a new authentication when that is wanted, and remembers it', async () => {
    const { url } = await sendAway('corp', { fresh: true })
    assert.equal(url.searchParams.get('prompt'), 'login')
    assert.deepEqual(
      [...world.idpRequests.all().values()].map(({ record }) => record.fresh),
      [true],
    )
  })

  test('leads to no provider that is not configured', async () => {
    await refuses(
      beginIdpLogin({ provider: 'elsewhere', fresh: false, loginCookie: null }, world.occasion(), world),
      'login.provider_unknown',
    )
    assert.equal(world.idpRequests.all().size, 0)
  })

  test('passes on that the provider does not answer', async () => {
    world.idp.refusing.begin = loginRefused('provider_unavailable').refusal
    await refuses(
      beginIdpLogin({ provider: 'corp', fresh: false, loginCookie: null }, world.occasion(), world),
      'login.provider_unavailable',
    )
  })

  test('is closed where people have no Relying Party', async () => {
    world = peopleWorld({ rules: { person: null } })
    await refuses(
      beginIdpLogin({ provider: 'corp', fresh: false, loginCookie: null }, world.occasion(), world),
      'enrolment.person_enrolment_unavailable',
    )
  })
})

describe('the way back', () => {
  test('is a login of half an hour, on record before it is in force', async () => {
    const { cookie, record } = await login()
    assert.match(cookie, /^[A-Za-z0-9_-]{43}$/)
    assert.ok(!JSON.stringify([...world.logins.all()]).includes(cookie))
    assert.equal(record.expiresAt - record.createdAt, 30 * 60_000)
    assert.deepEqual(
      { how: record.how, handle: record.handle, provider: record.provider, ticket: record.ticket, tapped: record.tapped },
      { how: 'idp', handle: 'alice', provider: 'corp', ticket: null, tapped: null },
    )
    assert.deepEqual(world.lifecycle.codes(), ['identity.succeeded.created', 'login.succeeded.idp'])
    for (const event of world.lifecycle.events) {
      assert.deepEqual(event.actor, { kind: 'identity', name: 'alice' })
      assert.deepEqual(event.target, { kind: 'identity', id: 'alice' })
      assert.equal(event.handle, 'alice')
      assert.deepEqual(event.roles, ['reader'])
      assert.equal(event.facts['source'], '192.0.2.7')
      assert.equal(event.facts['provider'], 'corp')
      assert.equal(event.facts['allowedBy'], 'idp:corp')
      assert.equal(event.facts['how'], 'idp')
    }
    assert.ok(!JSON.stringify(world.lifecycle.events).includes(cookie))
  })

  test('says when the person authenticated, if the provider does, and never a time to come', async () => {
    const { now } = world.clock
    for (const [said, kept] of [
      [now - 60_000, now - 60_000],
      [now + 4_000, now],
      [null, null],
    ] as const) {
      world.idp.statements.set('corp', statementOf('corp', {}, { authenticatedAt: said }))
      assert.equal((await login()).record.authenticatedAt, kept)
    }
  })

  test('makes no login whose record cannot be written', async () => {
    world.lifecycle.failing = ({ area }) => area === 'login'
    await assert.rejects(comeBack(await sendAway()), { name: 'AuditUnavailable' })
    assert.equal(world.logins.all().size, 0)
  })

  test('makes no identity whose record cannot be written', async () => {
    world.lifecycle.failing = ({ area }) => area === 'identity'
    await assert.rejects(comeBack(await sendAway()), { name: 'AuditUnavailable' })
    assert.equal(world.identities.records.all().size, 0)
  })

  test('refuses a callback that was used before, in whichever browser', async () => {
    const away = await sendAway()
    assert.ok((await comeBack(away)).ok)
    assert.equal(refusalOf(await comeBack(away)), 'login.request_used')
    assert.equal(refusalOf(await comeBack({ ...away, idpCookie: null })), 'login.request_used')
    assert.equal(world.logins.all().size, 1)
    assert.equal(world.idp.exchanges, 1)
  })

  test('makes exactly one login of twenty callbacks at once', async () => {
    const away = await sendAway()
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => comeBack(away)))
    assert.equal(outcomes.filter(({ ok }) => ok).length, 1)
    for (const outcome of outcomes) if (!outcome.ok) assert.equal(refusalOf(outcome), 'login.request_used')
    assert.equal(world.logins.all().size, 1)
    assert.equal(world.idp.exchanges, 1)
  })

  test("refuses somebody else's callback in this browser: login forgery", async () => {
    const attacker = await sendAway()
    const victim = await sendAway()
    await refuses(comeBack({ idpCookie: victim.idpCookie, query: attacker.query }), 'login.request_mismatch')
    assert.equal(world.idp.exchanges, 0)
  })

  for (const [name, idpCookie] of [
    ['no cookie', null],
    ['an empty cookie', ''],
    ['a cookie that is none of ours', 'x'.repeat(43)],
    ['a cookie that is no base64url', '!'.repeat(43)],
  ] as const) {
    test(`refuses a callback in a browser with ${name}`, async () => {
      const { query } = await sendAway()
      await refuses(comeBack({ idpCookie, query }), 'login.request_mismatch')
      assert.equal(world.idp.exchanges, 0)
    })
  }

  test('leaves the redirect to its own browser when another came with it', async () => {
    const away = await sendAway()
    assert.equal(refusalOf(await comeBack({ ...away, idpCookie: null })), 'login.request_mismatch')
    assert.ok((await comeBack(away)).ok)
  })

  test('refuses a callback that comes after ten minutes', async () => {
    const away = await sendAway()
    world.clock.now += 10 * 60_000
    await refuses(comeBack(away), 'login.request_expired')
    assert.equal(world.idp.exchanges, 0)
  })

  for (const [name, change] of [
    ['no state', (query: URLSearchParams) => query.delete('state')],
    ['an unknown state', (query: URLSearchParams) => query.set('state', 'A'.repeat(43))],
    ['a state that is none of ours', (query: URLSearchParams) => query.set('state', 'a state')],
    ['an endless state', (query: URLSearchParams) => query.set('state', 'A'.repeat(100_000))],
    ['two states', (query: URLSearchParams) => query.append('state', query.get('state') ?? '')],
  ] as const) {
    test(`refuses a callback with ${name}`, async () => {
      const away = await sendAway()
      change(away.query)
      await refuses(comeBack(away), 'login.request_unknown')
      assert.equal(world.idp.exchanges, 0)
    })
  }

  test("passes on the provider's error, and uses the redirect up", async () => {
    const away = await sendAway()
    away.query.set('error', 'access_denied')
    await refuses(comeBack(away), 'login.provider_refused/access_denied')
    assert.equal(refusalOf(await comeBack(away)), 'login.request_used')
  })

  test('passes on what is wrong with the ID token', async () => {
    world.idp.refusing.finish = loginRefused('nonce_mismatch').refusal
    await refuses(comeBack(await sendAway()), 'login.nonce_mismatch')
    assert.equal(world.identities.records.all().size, 0)
  })

  test('refuses claims that cannot be read, and makes nobody of them', async () => {
    world.idp.statements.set('corp', statementOf('corp', { groups: { readers: true } }))
    await refuses(comeBack(await sendAway()), 'login.role_claim_malformed/type')
    assert.equal(world.identities.records.all().size, 0)
  })

  test('believes that groups which were left out are left out', async () => {
    await login()
    world.idp.statements.set('corp', statementOf('corp', { groups: undefined, hasgroups: true }))
    assert.equal(refusalOf(await comeBack(await sendAway())), 'login.groups_overage/left_out')
    assert.deepEqual(
      world.identities.records.get('alice')?.roles.map(({ name }) => name),
      ['reader'],
    )
  })
})

describe('cookies', () => {
  test('are new at each login: a planted one is never taken over', async () => {
    const planted = 'A'.repeat(43)
    const finished = await comeBack({ ...(await sendAway()), loginCookie: planted })
    assert.ok(finished.ok)
    assert.notEqual(finished.value.cookie, planted)
    assert.equal(refusalOf(await signedIn(planted, world.occasion(), world)), 'login.login_unknown')
  })

  test('of an earlier login end when their browser signs in again, on record', async () => {
    const earlier = await login()
    world.lifecycle.events.length = 0
    const finished = await comeBack({ ...(await sendAway()), loginCookie: earlier.cookie })
    assert.ok(finished.ok)
    assert.equal(refusalOf(await signedIn(earlier.cookie, world.occasion(), world)), 'login.login_ended')
    assert.ok((await signedIn(finished.value.cookie, world.occasion(), world)).ok)
    assert.deepEqual(world.lifecycle.codes(), ['login.succeeded.ended', 'login.succeeded.idp'])
    assert.equal(world.lifecycle.events[0]?.facts['because'], 'signed_in_again')
  })

  test('of an earlier login end also when the browser does not show them as it comes back', async () => {
    const earlier = await login()
    const away = await sendAway('corp', { loginCookie: earlier.cookie })
    assert.ok((await signedIn(earlier.cookie, world.occasion(), world)).ok)
    assert.ok((await comeBack(away)).ok)
    assert.equal(refusalOf(await signedIn(earlier.cookie, world.occasion(), world)), 'login.login_ended')
    assert.equal(world.lifecycle.codes().filter((code) => code === 'login.succeeded.ended').length, 1)
  })

  test("of somebody else's login in the same browser end too, as theirs", async () => {
    putPerson(world, 'bob')
    const { cookie } = putLogin(world, 'bob')
    assert.ok((await comeBack({ ...(await sendAway()), loginCookie: cookie })).ok)
    const ended = world.lifecycle.events.find(({ reason }) => reason === 'ended')
    assert.deepEqual(ended?.actor, { kind: 'identity', name: 'bob' })
    assert.deepEqual(ended?.target, { kind: 'identity', id: 'bob' })
  })

  test('of an earlier login live on when signing in again fails', async () => {
    const earlier = await login()
    world.idp.refusing.finish = loginRefused('token_expired').refusal
    assert.equal(refusalOf(await comeBack({ ...(await sendAway()), loginCookie: earlier.cookie })), 'login.token_expired')
    assert.ok((await signedIn(earlier.cookie, world.occasion(), world)).ok)
  })
})

describe('being signed in', () => {
  test('is a login and an identity, both in force', async () => {
    const { cookie, record } = await login()
    const occasion = world.occasion()
    const judged = await signedIn(cookie, occasion, world)
    assert.ok(judged.ok)
    assert.deepEqual(judged.value.login.record, record)
    assert.equal(judged.value.identity.record.handle, 'alice')
    assert.equal(occasion.known.handle, 'alice')
  })

  test('needs a cookie', async () => {
    assert.equal(refusalOf(await signedIn(null, world.occasion(), world)), 'login.login_missing')
  })

  for (const cookie of ['', 'A', 'A'.repeat(43), 'A'.repeat(44), '='.repeat(43), `${'A'.repeat(42)}B`, 'A'.repeat(1_000_000)]) {
    test(`needs a cookie that was given out, not ${cookie.length} characters ${cookie.slice(0, 3)}…`, async () => {
      const occasion = world.occasion()
      assert.equal(refusalOf(await signedIn(cookie, occasion, world)), 'login.login_unknown')
      assert.equal(occasion.known.handle, null)
    })
  }

  test('is not had by the id of a login, which is no secret', async () => {
    const { record } = await login()
    assert.equal(refusalOf(await signedIn(record.id, world.occasion(), world)), 'login.login_unknown')
  })

  test('ends after half an hour, however often it was used', async () => {
    const { cookie } = await login()
    world.clock.now += 30 * 60_000 - 1
    assert.ok((await signedIn(cookie, world.occasion(), world)).ok)
    world.clock.now += 1
    assert.equal(refusalOf(await signedIn(cookie, world.occasion(), world)), 'login.login_expired')
  })

  test('ends at once for a copy of the cookie that was stolen before signing out', async () => {
    const { cookie } = await login()
    assert.ok((await endLogin(cookie, world.occasion(), world)).ok)
    const occasion = world.occasion()
    assert.equal(refusalOf(await signedIn(cookie, occasion, world)), 'login.login_ended')
    assert.equal(occasion.known.handle, 'alice')
  })

  test('ends when the identity is disabled meanwhile, and is there again when it is enabled', async () => {
    const { cookie } = await login()
    const alice = world.identities.records.get('alice')
    assert.ok(alice !== undefined)
    world.identities.records.put('alice', { ...alice, state: 'disabled' })
    assert.equal(refusalOf(await signedIn(cookie, world.occasion(), world)), 'login.identity_disabled')
    world.identities.records.put('alice', alice)
    assert.ok((await signedIn(cookie, world.occasion(), world)).ok)
  })

  test('is nothing for an identity that is not there, or is a machine', async () => {
    const { cookie } = putLogin(world, 'ghost')
    assert.equal(refusalOf(await signedIn(cookie, world.occasion(), world)), 'login.login_unknown/identity_unknown')
    world.identities.records.put('ghost', identityRecord('ghost'))
    assert.equal(refusalOf(await signedIn(cookie, world.occasion(), world)), 'login.login_unknown/identity_unknown')
  })
})

describe('signing out', () => {
  test('is on record before it is done, once', async () => {
    const { cookie, record } = await login()
    world.lifecycle.events.length = 0
    assert.ok((await endLogin(cookie, world.occasion(), world)).ok)
    assert.ok((await endLogin(cookie, world.occasion(), world)).ok)
    assert.deepEqual(world.lifecycle.codes(), ['login.succeeded.ended'])
    const [event] = world.lifecycle.events
    assert.deepEqual(event?.actor, { kind: 'identity', name: 'alice' })
    assert.deepEqual(event?.facts, {
      source: '192.0.2.7',
      allowedBy: 'idp:corp',
      how: 'idp',
      provider: 'corp',
      login: record.id,
      because: 'signed_out',
    })
  })

  test('fails where it cannot be recorded, and leaves the login', async () => {
    const { cookie } = await login()
    world.lifecycle.failing = () => true
    await assert.rejects(endLogin(cookie, world.occasion(), world), { name: 'AuditUnavailable' })
    assert.ok((await signedIn(cookie, world.occasion(), world)).ok)
  })

  test('prevails over a tap that is written at the same moment', async () => {
    const { cookie } = await login()
    const id = loginIdOf(cookie) ?? ''
    const stored = await world.logins.find(id)
    assert.ok(stored !== null)
    await Promise.all([
      endLogin(cookie, world.occasion(), world),
      world.logins.replace(id, stored, { ...stored.record, authenticatedAt: world.clock.now }),
    ])
    assert.equal(world.logins.get(id)?.state, 'ended')
  })

  for (const cookie of [null, '', 'A'.repeat(43)]) {
    test(`is no error without a login (${cookie === null ? 'no cookie' : `${cookie.length} characters`})`, async () => {
      assert.ok((await endLogin(cookie, world.occasion(), world)).ok)
      assert.deepEqual(world.lifecycle.codes(), [])
    })
  }
})

describe('who it is', () => {
  test('is the same person at each login, whatever else the provider says', async () => {
    await login()
    const first = world.identities.records.get('alice')
    world.clock.now += 60_000
    world.idp.statements.set('corp', statementOf('corp', { preferred_username: 'alice.renamed', name: 'Alice Renamed', team: 'red' }))
    await login()
    assert.equal(world.identities.records.all().size, 1)
    const second = world.identities.records.get('alice')
    assert.ok(first !== undefined && second !== undefined)
    assert.deepEqual(second, {
      ...first,
      displayName: 'Alice Renamed',
      claims: { team: 'red' },
      roles: [{ name: 'reader', source: 'idp', asOf: world.clock.now }],
    })
    assert.match(first.userHandle, /^[A-Za-z0-9_-]{43}$/)
  })

  test('is another person at another issuer, also with the same sub and the same name', async () => {
    await login('corp')
    await login('twin')
    const people = [...world.identities.records.all().values()].map(({ record }) => record)
    assert.deepEqual(
      people.map(({ handle, issuer, subject }) => [handle, issuer, subject]),
      [
        ['alice', 'https://corp.example', 'subject-1'],
        ['alice-2', 'https://twin.example', 'subject-1'],
      ],
    )
    assert.equal(new Set(people.map(({ userHandle }) => userHandle)).size, 2)
  })

  test("has the provider's prefix in the handle", async () => {
    await login('corp')
    const { record } = await login('partner')
    assert.equal(record.handle, 'p-alice')
  })

  test('never gets the handle of a machine or of somebody who was invited', async () => {
    world.identities.records.put('alice', identityRecord('alice'))
    putPerson(world, 'alice-2', { issuer: 'invitation', subject: 'alice-2' })
    assert.equal((await login()).record.handle, 'alice-3')
    assert.equal(world.identities.records.get('alice')?.class, 'machine')
  })

  test('gets a handle also where the provider calls everybody the same', async () => {
    const handles = new Set<string>()
    for (let i = 0; i < 30; i++) {
      world.idp.statements.set('corp', statementOf('corp', { preferred_username: '李小龍' }, { subject: `subject-${i}` }))
      handles.add((await login()).record.handle)
    }
    assert.equal(handles.size, 30)
    for (const handle of handles) assert.match(handle, /^person(-[0-9a-f]+)?$/)
  })

  test('is nobody when every handle there could be is taken', async () => {
    world.identities.findOnLeader = async (handle) => ({ record: identityRecord(handle), revision: 1 })
    await refuses(comeBack(await sendAway()), 'login.handle_unavailable')
    assert.equal(world.identities.records.all().size, 0)
  })

  test('is never a machine, whatever its record says of issuer and subject', async () => {
    world.identities.records.put('alice', identityRecord('alice', { issuer: 'https://corp.example', subject: 'subject-1' }))
    await refuses(comeBack(await sendAway()), 'login.subject_malformed/class')
  })

  test('is one identity after twenty first logins at once', async () => {
    const away = await Promise.all(Array.from({ length: 20 }, () => sendAway()))
    const outcomes = await Promise.all(away.map((request) => comeBack(request)))
    for (const outcome of outcomes) assert.ok(outcome.ok, refusalOf(outcome))
    assert.deepEqual([...world.identities.records.all().keys()], ['alice'])
    assert.equal(world.logins.all().size, 20)
  })

  test('is twenty identities after first logins of twenty people at once', async () => {
    const partners = Array.from({ length: 20 }, (_, i) => statementOf('corp', {}, { subject: `subject-${i}` }))
    world.idp.finish = async () => {
      const value = partners.pop()
      return value === undefined ? loginRefused('token_malformed') : { ok: true, value }
    }
    const away = await Promise.all(Array.from({ length: 20 }, () => sendAway()))
    const outcomes = await Promise.all(away.map((request) => comeBack(request)))
    for (const outcome of outcomes) assert.ok(outcome.ok, refusalOf(outcome))
    const people = [...world.identities.records.all().values()].map(({ record }) => record)
    assert.equal(new Set(people.map(({ subject }) => subject)).size, 20)
    assert.equal(people.length, 20)
  })

  test('finishes an identity whose creation stopped half-way, without recording it again', async () => {
    const { issuer, subject } = statementOf('corp')
    putPerson(world, 'alice', { issuer, subject })
    const { findBySubject } = world.identities
    let unfinished = true
    world.identities.findBySubject = (...about) => (unfinished ? Promise.resolve(null) : findBySubject(...about))
    const { createIdentity } = world.identities
    world.identities.createIdentity = async (record) => {
      unfinished = false
      return createIdentity(record)
    }
    assert.equal((await login()).record.handle, 'alice')
    assert.ok(!world.lifecycle.codes().includes('identity.succeeded.created'))
  })

  test('gives up, and signs nobody in, when the identity never holds still', async () => {
    putPerson(world, 'alice', { issuer: 'https://corp.example', subject: 'subject-1' })
    world.identities.replace = (stored) => world.identities.findOnLeader(stored.record.handle)
    await assert.rejects(comeBack(await sendAway()), { name: 'StoreUnavailable' })
    assert.equal(world.logins.all().size, 0)
  })

  test('is nobody who is disabled, and their roles stay as they were', async () => {
    const alice = putPerson(world, 'alice', { issuer: 'https://corp.example', subject: 'subject-1', state: 'disabled' })
    const occasion = world.occasion()
    world.idp.statements.set('corp', statementOf('corp', { groups: ['writers'] }))
    await refuses(comeBack(await sendAway(), occasion), 'login.identity_disabled')
    assert.deepEqual(world.identities.records.get('alice'), alice)
    assert.equal(occasion.known.handle, 'alice')
  })
})

describe('roles of the claims', () => {
  const alice = { issuer: 'https://corp.example', subject: 'subject-1' }
  const rolesNow = () => world.identities.records.get('alice')?.roles.map(({ name, source }) => `${source}:${name}`)

  test('are refreshed at each login, and recorded only when they change', async () => {
    await login()
    world.lifecycle.events.length = 0
    world.clock.now += 3_600_000
    await login()
    assert.deepEqual(world.lifecycle.codes(), ['login.succeeded.idp'])
    assert.equal(world.identities.records.get('alice')?.roles[0]?.asOf, world.clock.now)
    world.idp.statements.set('corp', statementOf('corp', { groups: ['writers', 'unmapped'] }))
    await login()
    assert.deepEqual(world.lifecycle.codes(), ['login.succeeded.idp', 'identity.succeeded.roles_changed', 'login.succeeded.idp'])
    assert.deepEqual(rolesNow(), ['idp:writer'])
    const changed = world.lifecycle.events[1]
    assert.deepEqual(changed?.roles, ['writer'])
    assert.equal(changed?.facts['rolesBefore'], 'idp:reader')
    assert.deepEqual(world.evicted, [{ identity: 'alice', handle: 'alice' }])
  })

  test('and the values of templates are recorded when they change: both say what somebody may do', async () => {
    await login()
    world.lifecycle.events.length = 0
    world.idp.statements.set('corp', statementOf('corp', { team: 'red' }))
    await login()
    assert.deepEqual(world.lifecycle.codes(), ['identity.succeeded.roles_changed', 'login.succeeded.idp'])
    assert.equal(world.lifecycle.events[0]?.facts['claimsChanged'], true)
    assert.ok(!JSON.stringify(world.lifecycle.events).includes('red'))
  })

  test('that were taken back empty the identity, on record, and refuse the login', async () => {
    await login()
    world.logins.all().clear()
    world.lifecycle.events.length = 0
    world.idp.statements.set('corp', statementOf('corp', { groups: [] }))
    const occasion = world.occasion()
    await refuses(comeBack(await sendAway(), occasion), 'login.roles_none/nothing_mapped')
    assert.deepEqual(rolesNow(), [])
    assert.deepEqual(world.lifecycle.codes(), ['identity.succeeded.roles_changed'])
    assert.deepEqual(world.evicted, [{ identity: 'alice', handle: 'alice' }])
    assert.equal(occasion.known.handle, 'alice')
  })

  test('that cannot be emptied on record stay, and refuse the login all the same', async () => {
    await login()
    world.logins.all().clear()
    world.idp.statements.set('corp', statementOf('corp', { groups: [] }))
    world.lifecycle.failing = () => true
    await assert.rejects(comeBack(await sendAway()), { name: 'AuditUnavailable' })
    assert.deepEqual(rolesNow(), ['idp:reader'])
    assert.equal(world.logins.all().size, 0)
  })

  test('that are none make no identity', async () => {
    for (const groups of [[], ['unmapped'], undefined, 'unmapped']) {
      world.idp.statements.set('corp', statementOf('corp', { groups }))
      await refuses(comeBack(await sendAway()), 'login.roles_none/nothing_mapped')
    }
    assert.equal(world.identities.records.all().size, 0)
  })

  test('that the policy does not know make no identity', async () => {
    world = peopleWorld({ policy: personPolicy([personRole('writer')]) })
    await refuses(comeBack(await sendAway()), 'login.roles_none/not_in_policy')
    assert.equal(world.identities.records.all().size, 0)
  })

  test('that are more than a record holds are refused, not cut', async () => {
    const names = Array.from({ length: 257 }, (_, i) => `role-${i}`)
    for (const provider of world.idp.list()) Object.assign(provider.mapping.roles, { map: new Map([['readers', names]]) })
    world.policy = () => personPolicy(names.map((name) => personRole(name)))
    await refuses(comeBack(await sendAway()), 'login.role_claim_malformed/roles')
    assert.equal(world.identities.records.all().size, 0)
  })

  test('leave those that an administrator assigned', async () => {
    const assigned = { name: roleOf('vault'), source: 'assigned', asOf: 1 } as const
    const both = [assigned, { name: roleOf('writer'), source: 'assigned', asOf: 1 } as const]
    putPerson(world, 'alice', { ...alice, roles: both })
    world.idp.statements.set('corp', statementOf('corp', { groups: ['writers'] }))
    await login()
    assert.deepEqual(rolesNow(), ['assigned:vault', 'assigned:writer', 'idp:writer'])
    world.idp.statements.set('corp', statementOf('corp', { groups: [] }))
    await login()
    assert.deepEqual(rolesNow(), ['assigned:vault', 'assigned:writer'])
    assert.equal(world.identities.records.get('alice')?.roles[0]?.asOf, 1)
  })

  test('never touch what a concurrent login or enrolment wrote', async () => {
    putPerson(world, 'alice', alice)
    const device = 'D'.repeat(43) as never
    const { replace } = world.identities
    let first = true
    world.identities.replace = async (stored, next) => {
      if (first) {
        first = false
        world.identities.records.put('alice', { ...stored.record, devices: [device] })
      }
      return replace(stored, next)
    }
    await login()
    assert.deepEqual(world.identities.records.get('alice')?.devices, [device])
    assert.equal(world.identities.records.get('alice')?.displayName, 'Alice Example')
  })
})
