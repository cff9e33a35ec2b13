/** What people's steps ask of the stores: a person by their subject, and somebody's sessions; two verifiers, real nats-servers. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { headers } from 'nats'
import { lengthPrefixed } from '../../src/core/encoding.ts'
import { beginIdpLogin, finishIdpLogin } from '../../src/core/people/login-steps.ts'
import type { PeopleWorld } from '../../src/core/people/people.ts'
import { CachedStore } from '../../src/nats/cached-store.ts'
import { openBucket } from '../../src/nats/kv-bucket.ts'
import { sessionSchema } from '../../src/nats/records-schema.ts'
import { type Deployment, startDeployment } from '../support/deployment.ts'
import { openVerifier, type TestVerifier, until } from '../support/links.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { peopleWorld, statementOf, type TestPeopleWorld } from '../support/people-world.ts'
import { handleOf, identityRecord, newUserNkey, sessionRecord } from '../support/records.ts'

const corp = 'https://corp.example'
const person = (handle: string, subject: string, issuer = corp) => identityRecord(handle, { class: 'person', issuer, subject })

for (const line of NATS_LINES) {
  describe(`stores of people on nats-server ${line}`, () => {
    let deployment: Deployment
    let one: TestVerifier
    let two: TestVerifier
    before(async () => {
      deployment = await startDeployment({ line })
      one = await openVerifier(deployment)
      two = await openVerifier(deployment)
    })
    after(async () => {
      await one.close()
      await two.close()
      await deployment.stop()
    })

    /** Deletes a key behind everybody's back, as an operator might. */
    async function forget(bucket: string, key: string): Promise<void> {
      const deleted = headers()
      deleted.set('KV-Operation', 'DEL')
      await one.link.nats.request(`$KV.${bucket}.${key}`, new Uint8Array(0), { headers: deleted, timeout: 1_000 })
    }

    describe('by subject', () => {
      test('finds at once whom another verifier made', async () => {
        const record = person('anna', 'subject of anna')
        assert.equal(await two.stores.identities.findBySubject(corp, record.subject), null)
        assert.equal(await one.stores.identities.createIdentity(record), 'created')
        const found = await two.stores.identities.findBySubject(corp, record.subject)
        assert.deepEqual(found?.record, record)
        assert.ok(found !== null)
        assert.equal(await two.stores.identities.replace(found, { ...record, displayName: 'Anna' }), null)
        assert.equal((await one.stores.identities.findBySubject(corp, record.subject))?.record.displayName, 'Anna')
      })

      test('keeps two issuers with the same subject apart', async () => {
        await one.stores.identities.createIdentity(person('bert', 'same'))
        assert.equal(await one.stores.identities.findBySubject('https://twin.example', 'same'), null)
        await one.stores.identities.createIdentity(person('bert-2', 'same', 'https://twin.example'))
        assert.equal((await two.stores.identities.findBySubject(corp, 'same'))?.record.handle, 'bert')
        assert.equal((await two.stores.identities.findBySubject('https://twin.example', 'same'))?.record.handle, 'bert-2')
      })

      test('does not mistake the end of an issuer for the beginning of a subject', async () => {
        await one.stores.identities.createIdentity(person('carl', 'b/c', 'https://corp.example/a/'))
        assert.equal(await one.stores.identities.findBySubject('https://corp.example/a/b/', 'c'), null)
      })

      test('finds nobody whose creation stopped half-way, until the same creation finishes it', async () => {
        const record = person('dora', 'subject of dora')
        // What is left of a verifier that ended between its two writes: the record without its index.
        await one.link.nats.jetstream().publish(`$KV.webauthn_identities.${record.handle}`, JSON.stringify(record))
        assert.equal(await two.stores.identities.findBySubject(corp, record.subject), null)
        assert.equal(await two.stores.identities.createIdentity(record), 'exists')
        assert.equal((await one.stores.identities.findBySubject(corp, record.subject))?.record.handle, 'dora')
      })

      test('finds nobody by an index whose identity is gone', async () => {
        const record = person('emil', 'subject of emil')
        await one.stores.identities.createIdentity(record)
        await forget('webauthn_identities', 'emil')
        assert.equal(await two.stores.identities.findBySubject(corp, record.subject), null)
      })

      test('finds nobody by an index that names somebody else', async () => {
        const [right, wrong] = [person('finn', 'subject of finn'), person('gina', 'subject of gina')]
        await one.stores.identities.createIdentity(right)
        await one.stores.identities.createIdentity(wrong)
        const hash = createHash('sha256').update(lengthPrefixed(corp, right.subject)).digest('base64url')
        await one.link.nats.jetstream().publish(`$KV.webauthn_identities.subject.${hash}`, JSON.stringify({ v: 1, handle: 'gina' }))
        assert.equal(await two.stores.identities.findBySubject(corp, right.subject), null)
        assert.equal((await two.stores.identities.findBySubject(corp, wrong.subject))?.record.handle, 'gina')
      })
    })

    describe('first logins at two verifiers at once', () => {
      const over = (verifier: TestVerifier, world: TestPeopleWorld): PeopleWorld => ({ ...world, identities: verifier.stores.identities })

      async function login(world: PeopleWorld, test: TestPeopleWorld): Promise<boolean> {
        const begun = await beginIdpLogin({ provider: 'corp', fresh: false, loginCookie: null }, test.occasion(), world)
        assert.ok(begun.ok)
        const { cookie: idpCookie, url } = begun.value
        const query = new URLSearchParams({ code: 'code', state: new URL(url).searchParams.get('state') ?? '' })
        return (await finishIdpLogin({ idpCookie, loginCookie: null, query }, test.occasion(), world)).ok
      }

      test('of one person make one identity in force', async () => {
        const world = peopleWorld()
        world.idp.statements.set('corp', statementOf('corp', { preferred_username: 'heidi' }, { subject: 'subject of heidi' }))
        const outcomes = await Promise.all(Array.from({ length: 6 }, (_, i) => login(over(i % 2 === 0 ? one : two, world), world)))
        assert.deepEqual(outcomes, Array(6).fill(true))
        const handles = new Set([...world.logins.all().values()].map(({ record }) => record.handle))
        assert.equal(handles.size, 1)
        const stored = await two.stores.identities.findBySubject(corp, 'subject of heidi')
        assert.deepEqual([stored?.record.handle], [...handles])
        assert.equal(stored?.record.state, 'active')
      })

      test('of several people of one name make as many identities', async () => {
        const worlds = Array.from({ length: 6 }, (_, i) => {
          const world = peopleWorld()
          world.idp.statements.set('corp', statementOf('corp', { preferred_username: 'ines' }, { subject: `ines ${i}` }))
          return world
        })
        const outcomes = await Promise.all(worlds.map((world, i) => login(over(i % 2 === 0 ? one : two, world), world)))
        assert.deepEqual(outcomes, Array(6).fill(true))
        const handles = worlds.flatMap((world) => [...world.logins.all().values()].map(({ record }) => record.handle))
        assert.equal(new Set(handles).size, 6)
        for (const [i, handle] of handles.entries()) {
          assert.equal((await one.stores.identities.findBySubject(corp, `ines ${i}`))?.record.handle, handle)
        }
      })
    })

    describe('sessions of somebody', () => {
      const handle = handleOf('jonas')
      const active = (change = {}) => sessionRecord({ handle, state: 'active', ...change })
      const nkeysOf = (verifier: TestVerifier) => verifier.stores.sessions.of(handle).map(({ nkey }) => nkey)

      test('are those that are active and not over, here and at the other verifier', async () => {
        assert.deepEqual(nkeysOf(one), [])
        const live = await one.stores.sessions.reserve(active())
        await one.stores.sessions.reserve(active({ state: 'pending' }))
        await one.stores.sessions.reserve(active({ expiresAt: Date.now() - 1 }))
        await one.stores.sessions.reserve(sessionRecord({ state: 'active', handle: handleOf('kurt') }))
        assert.deepEqual(nkeysOf(one), [live.record.nkey])
        await until('the other verifier follows', () => nkeysOf(two).length === 1)
        assert.deepEqual(two.stores.sessions.of(handle), [live.record])
        assert.equal(await one.stores.sessions.revoke(live, { ...live.record, state: 'revoked', endedAt: 1 }), null)
        assert.deepEqual(nkeysOf(one), [])
        await until('the other verifier follows', () => nkeysOf(two).length === 0)
      })

      test('appear when they are activated, and go when their record does', async () => {
        const pending = await one.stores.sessions.reserve(sessionRecord({ handle }))
        assert.deepEqual(nkeysOf(one), [])
        assert.equal(await one.stores.sessions.replace(pending, { ...pending.record, state: 'active' }), true)
        assert.deepEqual(nkeysOf(one), [pending.record.nkey])
        await until('the other verifier follows', () => nkeysOf(two).length === 1)
        await forget('webauthn_sessions', pending.record.nkey)
        for (const verifier of [one, two]) await until('it is gone', () => nkeysOf(verifier).length === 0)
      })
    })

    test('groups of a cache hold what the cache holds, and nothing that it dropped', async () => {
      const settings = {
        name: 'webauthn_sessions',
        description: '',
        replicas: 1,
        bytesMax: 1,
        ageSecondsMax: 0,
        whenFull: 'refuse',
      } as const
      const small = new CachedStore({
        bucket: (await openBucket(one.link, settings)).bucket,
        schema: sessionSchema,
        keys: '*',
        keyOf: ({ nkey }) => nkey,
        entriesMax: 5,
        groupOf: ({ handle }) => handle,
        onReport: () => {},
      })
      try {
        await small.ready()
        const [lena, marc] = [handleOf('lena'), handleOf('marc')]
        const nkeys = Array.from({ length: 4 }, () => newUserNkey())
        for (const nkey of nkeys) await small.create(nkey, sessionRecord({ nkey, handle: lena, state: 'active' }))
        await until('all are in', () => small.ofGroup(lena).length === 4)
        for (let i = 0; i < 3; i++) {
          const nkey = newUserNkey()
          await small.create(nkey, sessionRecord({ nkey, handle: marc, state: 'active' }))
        }
        assert.deepEqual(
          small.ofGroup(lena).map(({ record }) => record.nkey),
          nkeys.slice(2),
        )
        assert.equal(small.ofGroup(marc).length, 3)
        assert.equal([...small.cached()].length, 5)
        assert.deepEqual(small.ofGroup(handleOf('nobody')), [])
      } finally {
        small.stop()
      }
    })
  })
}
