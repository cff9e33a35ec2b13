import assert from 'node:assert/strict'
import { StoreUnavailable } from '../../src/core/ports.ts'
import { serveAdminApi } from '../../src/nats/admin.ts'
import { ADMIN_BODIES, isAdminErrorCode } from '../../src/nats/admin-protocol.ts'
import { newUserNkey } from '../support/records.ts'
import { bytesOf, type FuzzTarget } from './fuzz-target.ts'

const BODIES: Record<string, unknown> = {
  invite: { handle: 'orders', class: 'machine', roles: ['a'], expiresInSeconds: 600 },
  'ticket.revoke': { id: 'A'.repeat(43) },
  'credential.list': { limit: 10 },
  'session.revoke': { nkey: newUserNkey() },
  'identity.roles': { handle: 'orders', roles: ['a', 'b'] },
}

/** Buckets that cannot be reached: a body that is in order gets as far as them, and no further. */
const unreachable: unknown = new Proxy(() => {}, {
  get: (_, name) => (name === 'then' ? undefined : unreachable),
  apply: () => {
    throw new StoreUnavailable('reaching a bucket')
  },
})

/** The first byte chooses the operation, the rest is its body. Whatever it is, the answer is one of the API's own errors, and none is a failure of ours. */
export const adminRequest: FuzzTarget = {
  name: 'admin-request',
  seeds: () => Object.keys(ADMIN_BODIES).map((operation, i) => bytesOf(String.fromCharCode(i) + JSON.stringify(BODIES[operation] ?? {}))),
  dictionary: ['"handle":', '"class":"person"', '"roles":[]', '"cursor":null', '"limit":', '"id":', '"nkey":', '__proto__'],
  shape: 'bytes',
  async run(input) {
    const operation = Object.keys(ADMIN_BODIES)[input[0] ?? 0] ?? Buffer.from(input).toString('latin1').slice(0, 80)
    const answers: string[] = []
    const message = {
      subject: `nats-webauthn.admin.root.${operation}`,
      reply: '_INBOX_root.1',
      data: input.subarray(1),
      respond: (bytes: Uint8Array) => answers.push(Buffer.from(bytes).toString()),
    }
    const failures: unknown[] = []
    const world = {
      stores: unreachable,
      kicker: unreachable,
      lifecycle: { record: async () => {} },
      policy: () => ({ roles: new Map(), hash: '' }),
      isReady: () => true,
    }
    const subscription = {
      isClosed: () => true,
      [Symbol.asyncIterator]: async function* () {
        yield message
      },
    }
    const link = { nats: { subscribe: () => subscription } }
    await serveAdminApi({ link, world, onFailure: (cause: unknown) => failures.push(cause) } as never).stop()
    assert.equal(answers.length, 1)
    const code = (JSON.parse(answers[0] as string) as { error?: { code: string } }).error?.code
    assert.ok(code !== undefined && isAdminErrorCode(code) && code !== 'internal', `${operation}: ${answers[0]} ${String(failures[0])}`)
  },
}
