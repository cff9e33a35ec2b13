/** What the HTTP API shows of a person, for tests and pictures of the page. */
import { randomBytes } from 'node:crypto'
import { createUser } from 'nkeys.js'
import { type CredentialId, parseCredentialId, parseHandle, parseUserNkey, type UserNkey } from '../../src/core/identifiers.ts'
import type { DeviceView, PersonView, SessionRequestView, SessionView } from '../../src/core/people/people.ts'

function present<T>(value: T | null): T {
  if (value === null) throw new Error('making an example')
  return value
}

export function exampleNkey(): UserNkey {
  return present(parseUserNkey(createUser().getPublicKey()))
}

export function exampleCredentialId(): CredentialId {
  return present(parseCredentialId(randomBytes(32).toString('base64url')))
}

/** A person as they come: one role, no device. */
export function personView(change: Partial<PersonView> = {}): PersonView {
  return {
    handle: present(parseHandle('alice')),
    displayName: 'Alice Example',
    how: 'idp',
    provider: 'keycloak',
    loginExpiresAt: Date.now() + 30 * 60_000,
    roles: [{ name: 'orders-reader', source: 'idp', asOf: Date.now(), stale: false, known: true }],
    devices: [],
    devicesMax: 10,
    sessions: [],
    enrol: { allowed: true, needs: 'nothing' },
    rpId: 'localhost',
    userHandle: randomBytes(32).toString('base64url'),
    ...change,
  }
}

/** A laptop that keeps its passkey to itself. */
export function deviceView(change: Partial<DeviceView> = {}): DeviceView {
  return {
    id: exampleCredentialId(),
    name: 'Work laptop',
    aaguid: '08987058-cadc-4b81-b6e1-30de50dcbe96',
    model: null,
    trust: 'none',
    synced: false,
    backedUp: false,
    transports: ['internal'],
    state: 'active',
    createdAt: Date.UTC(2026, 9, 3, 9),
    roles: [{ name: 'orders-reader', unmet: [] }],
    current: false,
    ...change,
  }
}

/** A terminal's session. */
export function sessionView(change: Partial<SessionView> = {}): SessionView {
  return {
    nkey: exampleNkey(),
    label: 'build-07.example.com',
    plain: true,
    byCode: false,
    device: null,
    createdAt: Date.now() - 3_600_000,
    expiresAt: Date.now() + 5 * 3_600_000,
    ...change,
  }
}

/** A terminal that waits for the tap. */
export function requestView(change: Partial<SessionRequestView> = {}): SessionRequestView {
  return {
    request: 'r'.repeat(43),
    code: 'KXTB-WQRM',
    flow: 'loopback',
    host: 'build-07.example.com',
    nkey: exampleNkey(),
    createdAt: Date.now(),
    expiresAt: Date.now() + 9 * 60_000,
    lifetimeSeconds: 8 * 3600,
    roles: ['orders-reader'],
    account: present('ORDERS' as SessionRequestView['account']),
    ...change,
  }
}
