/**
 * Every role of a fixture policy against real nats-servers: exactly what the policy says, and what our own evaluator
 * says. It is longer than 300 lines because the matrix is kept beside what reads it.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import type { NatsConnection, Subscription } from 'nats'
import { judgePublish, judgeSubscribe } from '../../src/core/policy/permission-check.ts'
import type { Grant, Policy } from '../../src/core/policy/policy.ts'
import { parsePolicy } from '../../src/core/policy/policy-document.ts'
import { resolveGrant } from '../../src/core/policy/resolve.ts'
import { subscribePattern } from '../../src/core/policy/subjects.ts'
import { userClaims } from '../../src/core/user-claims.ts'
import { type CalloutResponder, startCalloutResponder } from '../support/callout-responder.ts'
import { type Deployment, startDeployment } from '../support/deployment.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { accountName, grantSubject } from '../support/policy-subject.ts'
import { handleOf } from '../support/records.ts'

const options = { targetAccounts: [accountName('APP')], reservedAccounts: [] }

function readPolicy(text: string): Policy {
  const parsed = parsePolicy(text, options)
  assert.ok(parsed.ok, JSON.stringify(parsed.ok ? null : parsed.issues))
  return parsed.policy
}

const shop = readPolicy(readFileSync(new URL('../support/policies/orders.yaml', import.meta.url), 'utf8'))
// What only nats-server 2.15 enforces, and says so.
const modern = readPolicy(`
version: 1
nats_server_min: "2.15"
roles:
  reader:
    account: APP
    subscribe: { allow: ["orders.>", "depth.*.*"], deny: ["orders.secret.>", "orders.jobs reserved"] }
`)

interface Row {
  policy: Policy
  /** Roles held, and the user's name. */
  roles: string[]
  user: string
  publish?: { allowed: string[]; denied: string[] }
  /** `filtered`: accepted by the server; `leaks` are published and must not arrive. */
  subscribe?: { allowed: string[]; denied: string[]; filtered?: { entry: string; leaks: string[]; arrives: string[] }[] }
}

const rows: Row[] = [
  {
    policy: shop,
    roles: ['orders-writer'],
    user: 'alice',
    publish: {
      allowed: ['orders.alice.new', 'orders.alice.a.b'],
      denied: [
        'orders.bob.new',
        'orders.alice',
        'orders.*.new',
        'orders',
        'other',
        '$JS.API.INFO',
        '$SYS.REQ.USER.AUTH',
        '$SYS.REQ.SERVER.PING',
        '$KV.x.y',
        '_INBOX_bob.x',
      ],
    },
    subscribe: {
      allowed: ['orders.replies.alice', '_INBOX_alice.x', '_INBOX_alice.>', '_INBOX_alice.*'],
      denied: [
        'orders.replies.bob',
        'orders.replies.*',
        'orders.>',
        '_INBOX_bob.x',
        '_INBOX_bob.>',
        '_INBOX.>',
        '_INBOX.x',
        '*.x',
        '>',
        '*',
        '$SYS.>',
        '$SYS.REQ.USER.AUTH',
        'orders.replies.alice.x',
      ],
    },
  },
  {
    policy: shop,
    roles: ['orders-reader'],
    user: 'bob',
    publish: { allowed: [], denied: ['orders.bob.new', 'orders.x', 'anything', '_INBOX_bob.x', '>', '$JS.API.INFO'] },
    subscribe: {
      allowed: ['orders.x', 'orders.>', 'orders.*', 'orders.a.*', 'orders.x queue'],
      denied: ['orders', '>', '*.x', '_INBOX_alice.>', 'other'],
    },
  },
  {
    policy: shop,
    roles: ['orders-device'],
    user: 'carol',
    publish: {
      allowed: ['devices.{{device}}.state', 'devices.state.orders-device'],
      denied: ['devices.other.state', 'devices.*.state', 'devices.state.worker'],
    },
    subscribe: { allowed: ['_INBOX_carol.>'], denied: ['devices.>', 'devices.{{device}}.state', '_INBOX_alice.>'] },
  },
  {
    policy: shop,
    roles: ['order-heads'],
    user: 'dave',
    publish: { allowed: [], denied: ['heads.x'] },
    subscribe: {
      allowed: ['heads.x', 'heads.*'],
      denied: ['heads', 'heads.x.y', 'heads.*.y', 'heads.x.>', '*.x', '>'],
      filtered: [{ entry: 'heads.>', leaks: ['heads.x.y', 'heads.a.b.c'], arrives: ['heads.x'] }],
    },
  },
  {
    policy: shop,
    roles: ['worker'],
    user: 'erin',
    publish: { allowed: ['work.done.1', 'work.done.a.b'], denied: ['work.done.audit.1', 'work.x', 'work.done'] },
    subscribe: {
      allowed: ['work.a workers', 'work.* workers'],
      denied: ['work.a', 'work.*', 'work.>', 'work.a others', 'work.a *', 'work.a >', 'work.a.b workers', '> workers'],
      filtered: [{ entry: 'work.> workers', leaks: ['work.a.b'], arrives: ['work.a'] }],
    },
  },
  {
    policy: shop,
    roles: ['responder'],
    user: 'frank',
    publish: { allowed: [], denied: ['rpc.echo', '_INBOX_alice.x', 'x'] },
    subscribe: { allowed: ['rpc.echo', 'rpc.echo q'], denied: ['rpc.*', 'rpc.>', 'rpc.other'] },
  },
  {
    policy: shop,
    roles: ['monitor'],
    user: 'grace',
    publish: { allowed: ['a', 'orders.x', '$KV.x'], denied: ['$SYS.REQ.USER.AUTH', '$JS.API.INFO'] },
    subscribe: {
      allowed: ['orders.x', '_INBOX_alice.x'],
      denied: ['payroll.salaries', 'payroll.salaries q'],
      filtered: [
        { entry: '>', leaks: ['payroll.salaries'], arrives: ['payroll.other'] },
        { entry: '*.salaries', leaks: ['payroll.salaries'], arrives: ['x.salaries'] },
      ],
    },
  },
  {
    policy: shop,
    roles: ['orders-writer', 'orders-reader', 'order-heads'],
    user: 'heidi',
    publish: { allowed: ['orders.heidi.new'], denied: ['orders.alice.new', 'heads.x'] },
    subscribe: { allowed: ['orders.>', 'heads.x'], denied: ['heads.x.y', '_INBOX_alice.>'] },
  },
  {
    policy: shop,
    roles: ['worker', 'monitor'],
    user: 'ivan',
    publish: { allowed: ['work.done.1', 'x'], denied: ['work.done.audit.1', '$SYS.REQ.USER.AUTH'] },
    subscribe: { allowed: ['work.a', 'work.a workers', 'x.y.z'], denied: ['work.a others', 'payroll.salaries'] },
  },
]

const modernRows: Row[] = [
  {
    policy: modern,
    roles: ['reader'],
    user: 'judy',
    subscribe: {
      allowed: ['orders.a', 'orders.jobs', 'orders.jobs other', 'depth.a.b'],
      denied: ['orders.secret.a', 'orders.secret.>', 'orders.jobs reserved', 'depth.a.b.c'],
      filtered: [
        { entry: 'orders.>', leaks: ['orders.secret.a', 'orders.secret.a.b'], arrives: ['orders.a'] },
        { entry: 'orders.*.a', leaks: ['orders.secret.a'], arrives: ['orders.x.a'] },
        { entry: 'orders.> reserved', leaks: ['orders.jobs', 'orders.secret.a'], arrives: ['orders.a'] },
        { entry: 'depth.a.>', leaks: ['depth.a.b.c'], arrives: ['depth.a.b'] },
      ],
    },
  },
]

function grantOf({ policy, roles, user }: Row): Grant {
  const resolved = resolveGrant(policy, grantSubject({ handle: user, roles, claims: {} }))
  assert.ok(resolved.ok, `${user}: ${resolved.ok ? '' : resolved.denial}`)
  return resolved.value
}

/** Subscribes and waits for the server's word; null when it refuses. */
async function accepted(nc: NatsConnection, entry: string, received: string[] = []): Promise<Subscription | null> {
  const { subject, queue } = subscribePattern(entry)
  let refused = false
  const subscription = nc.subscribe(subject, {
    ...(queue === null ? {} : { queue }),
    callback: (error, message) => {
      if (error === null) received.push(message.subject)
      else refused = true
    },
  })
  // Errors of a connection arrive in order, so whatever the server had to say is said before its PONG.
  await nc.flush()
  return refused ? null : subscription
}

/** Subjects of the permission violations that the server reported to this client. */
function violations(nc: NatsConnection): string[] {
  const seen: string[] = []
  void (async () => {
    for await (const status of nc.status()) {
      if (status.permissionContext !== undefined) seen.push(`${status.permissionContext.operation} ${status.permissionContext.subject}`)
    }
  })()
  return seen
}

for (const line of NATS_LINES) {
  describe(`the policy on nats-server ${line}`, () => {
    let deployment: Deployment
    let responder: CalloutResponder
    let observer: NatsConnection
    const everyone = new Map<string, Grant>()

    before(async () => {
      deployment = await startDeployment({ line, xkey: false })
      for (const row of [...rows, ...modernRows]) everyone.set(row.user, grantOf(row))
      const all = { allow: ['>'], deny: [] }
      responder = await startCalloutResponder(deployment, (user, userNkey) => {
        const now = Math.floor(Date.now() / 1000)
        const permissions = user === 'observer' ? { publish: all, subscribe: all, responses: null } : everyone.get(user)?.permissions
        if (permissions === undefined) throw new Error(`answering for ${user}`)
        return userClaims({
          userNkey,
          account: accountName('APP'),
          handle: handleOf(user),
          id: 'test',
          iat: now,
          exp: now + 600,
          permissions,
        })
      })
      observer = await responder.connectAs('observer')
    })
    after(async () => {
      await observer?.close()
      await responder?.stop()
      await deployment?.stop()
    })

    for (const row of line === '2.10' ? rows : [...rows, ...modernRows]) {
      const { permissions } = grantOf(row)
      const device = grantSubject({ handle: row.user, roles: row.roles, claims: {} }).deviceToken
      const named = (list: readonly string[] = []) => list.map((entry) => entry.replace('{{device}}', device))

      test(`${row.roles.join(' + ')} publishes exactly what is allowed`, async () => {
        const allowed = named(row.publish?.allowed)
        const denied = named(row.publish?.denied)
        for (const subject of allowed) assert.equal(judgePublish(permissions, subject).verdict, 'allowed', subject)
        for (const subject of denied) assert.equal(judgePublish(permissions, subject).verdict, 'denied', subject)
        const received: string[] = []
        const watching = await accepted(observer, '>', received)
        const nc = await responder.connectAs(row.user)
        const seen = violations(nc)
        for (const subject of [...allowed, ...denied]) nc.publish(subject)
        await nc.flush()
        await observer.flush()
        assert.deepEqual(
          received.filter((subject) => !subject.startsWith('_INBOX_observer')),
          allowed,
        )
        assert.deepEqual(
          seen,
          denied.map((subject) => `publish ${subject}`),
        )
        watching?.unsubscribe()
        await nc.close()
      })

      test(`${row.roles.join(' + ')} subscribes to exactly what is allowed`, async () => {
        const nc = await responder.connectAs(row.user)
        for (const entry of named(row.subscribe?.allowed)) {
          assert.equal(judgeSubscribe(permissions, subscribePattern(entry)).verdict, 'allowed', entry)
          const subscription = await accepted(nc, entry)
          assert.notEqual(subscription, null, `the server refused ${entry}`)
          subscription?.unsubscribe()
        }
        for (const entry of named(row.subscribe?.denied)) {
          assert.equal(judgeSubscribe(permissions, subscribePattern(entry)).verdict, 'denied', entry)
          assert.equal(await accepted(nc, entry), null, `the server accepted ${entry}`)
        }
        await nc.close()
      })

      for (const { entry, leaks, arrives } of row.subscribe?.filtered ?? []) {
        test(`${row.roles.join(' + ')} subscribed to ${entry} receives nothing that is denied`, async () => {
          assert.equal(judgeSubscribe(permissions, subscribePattern(entry)).verdict, 'filtered')
          const nc = await responder.connectAs(row.user)
          const received: string[] = []
          assert.notEqual(await accepted(nc, entry, received), null)
          for (const subject of [...leaks, ...arrives]) observer.publish(subject)
          await observer.flush()
          await nc.flush()
          assert.deepEqual(received, arrives)
          await nc.close()
        })
      }
    }

    test('a responder answers a request once, though it may publish nothing', async () => {
      const nc = await responder.connectAs('frank')
      const seen = violations(nc)
      nc.subscribe('rpc.echo', {
        callback: (_error, message) => {
          message.respond('one')
          message.respond('two')
        },
      })
      await nc.flush()
      const answers: string[] = []
      observer.subscribe('_INBOX_observer.rpc', { callback: (_error, message) => answers.push(message.string()) })
      observer.publish('rpc.echo', '', { reply: '_INBOX_observer.rpc' })
      await observer.flush()
      await nc.flush()
      await nc.flush()
      await observer.flush()
      assert.deepEqual(answers, ['one'])
      assert.deepEqual(seen, ['publish _INBOX_observer.rpc'])
      await nc.close()
    })
  })
}
