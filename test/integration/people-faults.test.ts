/** What people meet when something that the verifier needs is missing: nothing takes effect, it is said, and they may go on later. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { connect, type NatsConnection } from 'nats'
import { until } from '../support/links.ts'
import type { RunningNatsServer } from '../support/nats-server.ts'
import type { TestAccount } from '../support/oidc-provider.ts'
import {
  askForSession,
  completionOf,
  enrol,
  inviteTo,
  newPasskey,
  PEOPLE_POLICY,
  type People,
  register,
  signIn,
  startPeople,
  tapFor,
  visitor,
  visitProvider,
} from '../support/people-cluster.ts'
import { type Browser, verdictOf } from '../support/people-service.ts'
import type { Product, ProductFiles } from '../support/product.ts'

// One place: what a failure leaves behind would be in the way at once.
const POLICY = PEOPLE_POLICY.replace('devices_max: 2', 'devices_max: 1')
const names = ['login', 'register', 'activate', 'own', 'endorse', 'complete', 'refuse', 'out', 'spare', 'bucket', 'restart']
const accounts: TestAccount[] = names.map((name) => ({ sub: `sub-${name}`, claims: { name, preferred_username: name, groups: ['staff'] } }))
const subOf = (name: string) => `sub-${name}`
const UNAVAILABLE = '503 unavailable'

/** Lets somebody in who may do anything with the streams of AUTH and AUDIT. */
function withKeepers(config: string): string {
  const keeper = (name: string) => `{ user: ${name}, password: keeper }\n      `
  return config
    .replace('{ nkey: $AUDITOR, ', `${keeper('audit-keeper')}{ nkey: $AUDITOR, `)
    .replace('{ nkey: $ADMIN, ', `${keeper('auth-keeper')}{ nkey: $ADMIN, `)
    .replace('auth_users: [', 'auth_users: [audit-keeper, auth-keeper, ')
}

/** Somebody's hand on the streams of one account. */
async function keeperOf(product: ProductFiles, account: 'audit' | 'auth') {
  const nc = await connect({ servers: `127.0.0.1:${product.deployment.server.port}`, user: `${account}-keeper`, pass: 'keeper' })
  const streams = await nc.jetstreamManager().then((manager) => manager.streams)
  return {
    nc,
    /** The stream takes nothing more, until it is `mended`. */
    async fill(stream: string) {
      const { state, config } = await streams.info(stream)
      await streams.update(stream, { ...config, max_msgs: Math.max(1, state.messages), discard: 'new' as never })
    },
    /** Nothing but the tiniest value is taken. */
    async shrink(stream: string) {
      const { config } = await streams.info(stream)
      await streams.update(stream, { ...config, max_msg_size: 1 })
    },
    async mend(stream: string) {
      const { config } = await streams.info(stream)
      await streams.update(stream, { ...config, max_msgs: -1, max_msg_size: 65_536 })
    },
  }
}

let people: People<Product>
let audit: Awaited<ReturnType<typeof keeperOf>>
let auth: Awaited<ReturnType<typeof keeperOf>>
let restarted: RunningNatsServer | null = null
before(async () => {
  people = await startPeople({ accounts, policy: POLICY, edit: withKeepers })
  audit = await keeperOf(people.product, 'audit')
  auth = await keeperOf(people.product, 'auth')
})
after(async () => {
  await Promise.all([audit.nc, auth.nc].map((nc: NatsConnection) => nc.close()))
  await people.stop()
  await restarted?.stop()
})

async function withoutAudit<T>(work: () => Promise<T>): Promise<T> {
  await audit.fill('WEBAUTHN_AUDIT')
  try {
    return await work()
  } finally {
    await audit.mend('WEBAUTHN_AUDIT')
  }
}

async function without<T>(bucket: string, work: () => Promise<T>): Promise<T> {
  await auth.shrink(`KV_${bucket}`)
  try {
    return await work()
  } finally {
    await auth.mend(`KV_${bucket}`)
  }
}

const somebody = (): { who: ReturnType<typeof visitor>; page: Browser } => {
  const who = visitor(people.product)
  return { who, page: who.at() }
}

async function enrolled(name: string) {
  const it = { ...somebody(), passkey: newPasskey(people.product) }
  await signIn(people, it.page, subOf(name))
  await enrol(it.page, it.passkey)
  return it
}

const me = async (page: Browser) => (await page.post('/v1/me')).body.person

describe('without an audit trail', () => {
  test('nobody signs in, and the next attempt does', async () => {
    const { page } = somebody()
    const path = await visitProvider(people, page, subOf('login'))
    assert.equal(verdictOf(await withoutAudit(() => page.open(path))), '303 /#error=unavailable')
    assert.equal((await page.post('/v1/me')).status, 401)
    await signIn(people, page, subOf('login'))
    assert.equal((await me(page)).handle, 'login')
  })

  test('an invitation lets nobody in, and does afterwards', async () => {
    const ticket = await inviteTo(people.product, 'invited')
    const { page } = somebody()
    assert.equal(verdictOf(await withoutAudit(() => page.post('/v1/login/ticket', { ticket }))), UNAVAILABLE)
    assert.equal(page.cookies.size, 0)
    assert.equal((await page.post('/v1/login/ticket', { ticket })).status, 200)
  })

  test('no passkey signs in, and it does afterwards', async () => {
    const { passkey } = await enrolled('spare')
    const { page } = somebody()
    const finish = async () => {
      const begun = await page.post('/v1/login/passkey/begin')
      return page.post('/v1/login/passkey/finish', { ceremony: begun.body.ceremony, response: passkey.get(begun.body.options) })
    }
    assert.equal(verdictOf(await withoutAudit(finish)), UNAVAILABLE)
    assert.equal((await finish()).status, 200)
  })

  test('no device is registered, and the same one may be enrolled afterwards', async () => {
    const { page } = somebody()
    await signIn(people, page, subOf('register'))
    const begun = await page.post('/v1/devices/begin')
    const body = { ceremony: begun.body.ceremony, name: 'laptop', response: newPasskey(people.product).create(begun.body.options) }
    assert.equal(verdictOf(await withoutAudit(() => page.post('/v1/devices/register', body))), UNAVAILABLE)
    await enrol(page, newPasskey(people.product))
  })

  test('no device is activated, and it keeps neither the place nor the invitation', async () => {
    const { page } = somebody()
    await signIn(people, page, subOf('activate'))
    const invited = somebody()
    const ticket = await inviteTo(people.product, 'guest')
    assert.equal((await invited.page.post('/v1/login/ticket', { ticket })).status, 200)
    for (const it of [page, invited.page]) {
      const body = await register(it, newPasskey(people.product))
      assert.equal(verdictOf(await withoutAudit(() => it.post('/v1/devices/activate', body))), UNAVAILABLE)
      assert.deepEqual((await me(it)).devices, [])
      await enrol(it, newPasskey(people.product))
      assert.equal((await me(it)).devices.length, 1)
    }
  })

  test('a device is neither renamed nor removed, and is afterwards', async () => {
    const { page, passkey } = await enrolled('own')
    const { id } = passkey
    await withoutAudit(async () => {
      assert.equal(verdictOf(await page.post('/v1/devices/rename', { id, name: 'other' })), UNAVAILABLE)
      assert.equal(verdictOf(await page.post('/v1/devices/remove', { id })), UNAVAILABLE)
      assert.equal((await me(page)).devices[0].name, 'laptop')
    })
    assert.equal((await page.post('/v1/devices/rename', { id, name: 'other' })).body.person.devices[0].name, 'other')
    assert.deepEqual((await page.post('/v1/devices/remove', { id })).body.person.devices, [])
  })

  test('no session is endorsed, and the terminal may begin again', async () => {
    for (const flow of ['loopback', 'code'] as const) {
      const { who, page, passkey } = flow === 'loopback' ? await enrolled('endorse') : await enrolled('bucket')
      const asked = await askForSession(who, people.product, flow)
      const body = await tapFor(page, asked.request, passkey)
      assert.equal(verdictOf(await withoutAudit(() => page.post('/v1/session/endorse', body))), UNAVAILABLE)
      assert.equal((await people.product.session(asked.key.nkey)).state, 'pending')
      assert.equal((await who.terminal('/v1/session/poll', { request: asked.request })).body.state, 'waiting')
      const again = await askForSession(who, people.product, flow)
      assert.equal((await page.post('/v1/session/endorse', await tapFor(page, again.request, passkey))).status, 200)
    }
  })

  test('no session is completed or ended, and both work afterwards', async () => {
    const { who, page, passkey } = await enrolled('complete')
    const endorsed = async () => {
      const asked = await askForSession(who, people.product, 'loopback')
      const code = completionOf(await page.post('/v1/session/endorse', await tapFor(page, asked.request, passkey)))
      return { ...asked, body: { request: asked.request, code } }
    }
    const first = await endorsed()
    assert.equal(verdictOf(await withoutAudit(() => who.terminal('/v1/session/complete', first.body))), UNAVAILABLE)
    assert.equal((await people.product.session(first.key.nkey)).state, 'pending')
    const { key, body } = await endorsed()
    assert.equal((await who.terminal('/v1/session/complete', body)).status, 200)

    const end = async () => {
      const begun = await who.terminal('/v1/session/end/begin', { nkey: key.nkey })
      return who.terminal('/v1/session/end', { ceremony: begun.body.ceremony, signature: key.sign(begun.body.issued, 'revoke') })
    }
    await withoutAudit(async () => {
      assert.equal(verdictOf(await end()), UNAVAILABLE)
      assert.equal(verdictOf(await page.post('/v1/sessions/end', { nkey: key.nkey })), UNAVAILABLE)
      assert.equal((await people.product.session(key.nkey)).state, 'active')
    })
    assert.deepEqual((await end()).body, { ended: true })
  })

  test('a request is not refused either, and is afterwards', async () => {
    const { who, page } = await enrolled('refuse')
    const { request } = await askForSession(who, people.product, 'loopback')
    assert.equal(verdictOf(await withoutAudit(() => page.post('/v1/session/refuse', { request }))), UNAVAILABLE)
    assert.equal((await who.terminal('/v1/session/poll', { request })).body.state, 'waiting')
    assert.equal((await page.post('/v1/session/refuse', { request })).status, 200)
    assert.equal((await who.terminal('/v1/session/poll', { request })).body.state, 'refused')
  })
})

describe('without a bucket', () => {
  test('of logins nobody signs in, and the next attempt does', async () => {
    const { page } = somebody()
    const path = await visitProvider(people, page, subOf('login'))
    assert.equal(verdictOf(await without('webauthn_logins', () => page.open(path))), '303 /#error=unavailable')
    await signIn(people, page, subOf('login'))
  })

  test('of identities an invited person enrols nothing, and the invitation is good afterwards', async () => {
    const ticket = await inviteTo(people.product, 'visitor')
    const { page } = somebody()
    await page.post('/v1/login/ticket', { ticket })
    const body = await register(page, newPasskey(people.product))
    assert.equal(verdictOf(await without('webauthn_identities', () => page.post('/v1/devices/activate', body))), UNAVAILABLE)
    await enrol(page, newPasskey(people.product))
  })

  test('of credentials a device whose invitation is spent admits nobody, and keeps its place while it may have been written', async () => {
    const first = somebody()
    await first.page.post('/v1/login/ticket', { ticket: await inviteTo(people.product, 'unlucky') })
    const body = await register(first.page, newPasskey(people.product))
    assert.equal(verdictOf(await without('webauthn_credentials', () => first.page.post('/v1/devices/activate', body))), UNAVAILABLE)
    assert.equal(verdictOf(await first.page.post('/v1/devices/begin')), '403 ticket_invalid')
    const again = somebody()
    await again.page.post('/v1/login/ticket', { ticket: await inviteTo(people.product, 'unlucky') })
    assert.deepEqual((await me(again.page)).devices, [])
    const second = await register(again.page, newPasskey(people.product))
    assert.equal(verdictOf(await again.page.post('/v1/devices/activate', second)), '409 devices_full')
  })

  test('of sessions nothing is endorsed, and the terminal may begin again', async () => {
    const it = { ...somebody(), passkey: newPasskey(people.product) }
    await signIn(people, it.page, subOf('restart'))
    await enrol(it.page, it.passkey)
    const asked = await askForSession(it.who, people.product, 'code')
    const body = await tapFor(it.page, asked.request, it.passkey)
    assert.equal(verdictOf(await without('webauthn_sessions', () => it.page.post('/v1/session/endorse', body))), UNAVAILABLE)
    const again = await askForSession(it.who, people.product, 'code')
    assert.equal((await it.page.post('/v1/session/endorse', await tapFor(it.page, again.request, it.passkey))).status, 200)
  })
})

describe('a restart of nats-server', () => {
  test('in the middle of a login is waited for by nobody, and the login goes on afterwards', async () => {
    const { page } = somebody()
    const path = await visitProvider(people, page, subOf('out'))
    const { server } = people.product.deployment
    await server.kill()
    const other = somebody()
    const begunAt = performance.now()
    assert.equal(verdictOf(await other.page.post('/v1/login/passkey/begin')), UNAVAILABLE)
    assert.ok(performance.now() - begunAt < 2_000)
    restarted = await server.restart()
    await until('the verifier is ready', () => people.product.verifier.isReady())
    assert.equal(verdictOf(await page.open(path)), '303 /')
  })
})
