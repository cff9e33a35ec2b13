/** What a connection proves itself with in CONNECT (docs/protocol.md, "sig"). */
import { base64url, utf8 } from '../core/encoding.ts'
import { connectChallenge, resumeMessage } from '../core/protocol.ts'
import type { ServerUrl } from '../core/server-address.ts'
import { type CeremonyOptions, tap } from './ceremony.ts'
import { createSessionKey, type SessionKey } from './session-key.ts'
import { sha256 } from './sha256.ts'

/** What goes into CONNECT. */
export interface Credentials {
  nkey: string
  sig: string
}

/** One connection: the nonce its server sent, and the address this page dialled. */
export interface Dialled {
  nonce: string
  url: ServerUrl
}

/** A bound resume: the session key signs this connection's nonce and address. */
export async function resume(key: SessionKey, dialled: Dialled): Promise<Credentials> {
  return { nkey: key.nkey, sig: encode({ v: 1, url: dialled.url, resume: await resumeOf(key, dialled) }) }
}

/** A proof by a tap; with `session` it endorses a fresh key, made before anybody is asked. */
export async function prove(
  dialled: Dialled,
  { ceremony, session, signal }: { ceremony: CeremonyOptions; session: boolean; signal: AbortSignal },
): Promise<{ key: SessionKey | null; credentials: Credentials }> {
  const key = session ? await createSessionKey() : null
  const nkey = key?.nkey ?? ''
  const assertion = await tap(connectChallenge(sha256, { ...dialled, nkey, plain: false }), ceremony, signal)
  const resumed = key === null ? {} : { resume: await resumeOf(key, dialled) }
  return { key, credentials: { nkey, sig: encode({ v: 1, url: dialled.url, assertion, ...resumed }) } }
}

async function resumeOf(key: SessionKey, { nonce, url }: Dialled): Promise<string> {
  return base64url(await key.sign(new Uint8Array(resumeMessage(sha256, { nonce, url, nkey: key.nkey }))))
}

function encode(members: object): string {
  return base64url(utf8(JSON.stringify(members)))
}
