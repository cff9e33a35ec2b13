/** A terminal that asks for a session, and a person who answers it, over the steps of core. */
import assert from 'node:assert/strict'
import { createSessionKey, type SessionKey } from '../../src/client/session-key.ts'
import type { SignedIn } from '../../src/core/people/people.ts'
import { requestIdOfName } from '../../src/core/people/session-request.ts'
import {
  beginSessionRequest,
  completeSessionRequest,
  endorsementOptions,
  endorseSession,
  pollSessionRequest,
  possessSessionRequest,
  showSessionRequest,
} from '../../src/core/people/session-request-steps.ts'
import { ceremonyChallenge, possessionMessage, sessionSubject } from '../../src/core/protocol.ts'
import type { LoginRecord } from '../../src/core/records.ts'
import type { Judged } from '../../src/core/refusal.ts'
import { sha256 } from '../../src/core/sha256.ts'
import type { Passkey } from './passkey.ts'
import { peopleWorld, putDevice, putLogin, putPerson, type TestPeopleWorld } from './people-world.ts'
import { roleOf } from './records.ts'
import type { AssertionInput } from './test-authenticator.ts'

export const PORT = 45678

/** What a terminal is told when it begins. */
export interface Asked {
  request: string
  issued: string
  url: string
  code: string
  expiresAt: number
}

/** What was accepted; fails with the refusal. */
export function value<T>(judged: Judged<T>): T {
  assert.ok(judged.ok, judged.ok ? '' : `${judged.refusal.reason}/${judged.refusal.check}`)
  return judged.value
}

/** The challenge of a `session` ceremony, as the terminal computes it. */
export function challengeFor(issued: string, nkey: string, { origin, act = 'plain' }: { origin: string; act?: 'plain' | 'revoke' }) {
  const bytes = Buffer.from(issued, 'base64url')
  return ceremonyChallenge(sha256, { purpose: 'session', issued: bytes, origin, subject: sessionSubject(nkey, act) })
}

/** The nkey's signature that proves possession, unpadded base64url. */
export function possession(key: SessionKey, challenge: Uint8Array): string {
  return Buffer.from(key.sign(possessionMessage(sha256, challenge))).toString('base64url')
}

export function terminal(
  world: TestPeopleWorld,
  { flow = 'loopback', key = createSessionKey(), host = 'laptop' }: { flow?: 'loopback' | 'code'; key?: SessionKey; host?: string } = {},
) {
  const begin = () => beginSessionRequest({ nkey: key.nkey, flow, host, port: flow === 'loopback' ? PORT : null }, world.occasion(), world)
  const possess = ({ request, issued }: { request: string; issued: string }, signer = key, origin = world.origin) =>
    possessSessionRequest({ request, signature: possession(signer, challengeFor(issued, key.nkey, { origin })) }, world.occasion(), world)
  return {
    key,
    begin,
    possess,
    /** A request whose nkey has signed. */
    async ask(): Promise<Asked> {
      const asked = value(await begin())
      value(await possess(asked))
      return asked
    },
    poll: ({ request }: { request: string }) => pollSessionRequest({ request }, world.occasion(), world),
    complete: ({ request }: { request: string }, code: string) => completeSessionRequest({ request, code }, world.occasion(), world),
  }
}

export async function signIn(world: TestPeopleWorld, handle: string, change: Partial<LoginRecord> = {}): Promise<SignedIn> {
  const { login } = putLogin(world, handle, change)
  const stored = await world.logins.find(login.id)
  const identity = await world.identities.findOnLeader(login.handle)
  assert.ok(stored && identity)
  return { login: stored, identity }
}

/** The person's tap for a request. */
export async function tap(
  world: TestPeopleWorld,
  { request }: { request: string },
  { signedIn, passkey, change = {} }: { signedIn: SignedIn; passkey: Passkey; change?: Partial<AssertionInput> },
): Promise<Judged<{ callback: string | null }>> {
  const offered = await endorsementOptions({ request }, signedIn, world.occasion(), world)
  if (!offered.ok) return offered
  const response = passkey.get(offered.value.options, change)
  return endorseSession({ request, response }, signedIn, world.occasion(), world)
}

/** The code that the browser brings to the terminal's listener. */
export function completionOf(endorsed: { callback: string | null }): string {
  assert.ok(endorsed.callback !== null)
  return new URL(endorsed.callback).searchParams.get('code') ?? ''
}

/** A person of the world with a passkey and a login. */
export async function someone(world: TestPeopleWorld, handle: string, roles = ['reader']) {
  putPerson(world, handle, { roles: roles.map((name) => ({ name: roleOf(name), source: 'assigned', asOf: 0 })) })
  const device = putDevice(world, handle)
  return { world, ...device, signedIn: await signIn(world, handle) }
}

export type Someone = Awaited<ReturnType<typeof someone>>

/** alice with a passkey and a login, and a world to be in. */
export function alice(change: Parameters<typeof peopleWorld>[0] = {}, roles = ['reader']): Promise<Someone> {
  return someone(peopleWorld(change), 'alice', roles)
}

export const stateOf = (world: TestPeopleWorld, { request }: { request: string }) =>
  world.sessionRequests.get(requestIdOfName(request))?.state
export const sessionOf = (world: TestPeopleWorld, nkey: string) => world.sessions.records.get(nkey)
export const show = ({ world, signedIn }: Someone, which: { request: string } | { code: string }) =>
  showSessionRequest(which, signedIn, world.occasion(), world)
