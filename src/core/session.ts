/** Session nkeys: what a resume proves, and when a session may be used (docs/protocol.md, "Session"). */
import type { KeyObject } from 'node:crypto'
import { type Checked, denied, passed } from './checked.ts'
import { ed25519PublicKey, ed25519Verify } from './ed25519.ts'
import type { CredentialKey, Nonce, ServerUrl, UserNkey } from './identifiers.ts'
import { decodePublicNkey } from './nkey.ts'
import { plainMessage, resumeMessage } from './protocol.ts'
import type { SessionRecord } from './records.ts'
import { sha256 } from './sha256.ts'

const keysMax = 10_000
const keys = new Map<UserNkey, KeyObject>()

function publicKey(nkey: UserNkey): KeyObject {
  const known = keys.get(nkey)
  if (known !== undefined) return known
  if (keys.size >= keysMax) keys.clear()
  const key = ed25519PublicKey(decodePublicNkey('U', nkey) as Uint8Array)
  keys.set(nkey, key)
  return key
}

/** Whether `nkey` signed this connection's nonce and the dialled URL: possession, bound to both. */
export function verifyBoundResume(resume: { nkey: UserNkey; nonce: Nonce; url: ServerUrl; signature: Uint8Array }): boolean {
  return ed25519Verify(publicKey(resume.nkey), resumeMessage(sha256, resume), resume.signature)
}

/** Whether `nkey` signed this connection's nonce, as every NATS client does. Binds no server address. */
export function verifyPlainResume(resume: { nkey: UserNkey; nonce: Nonce; signature: Uint8Array }): boolean {
  return ed25519Verify(publicKey(resume.nkey), plainMessage(resume.nonce), resume.signature)
}

/** Whether `nkey` made this Ed25519 signature (64 bytes) over `message`. */
export function verifySessionSignature(nkey: UserNkey, message: Uint8Array, signature: Uint8Array): boolean {
  return ed25519Verify(publicKey(nkey), message, signature)
}

/** Whether the session is in force at `now`. */
export function checkSessionState(session: SessionRecord | null, now: Date): Checked<SessionRecord> {
  if (session === null) return denied('session_unknown')
  if (session.state === 'revoked') return denied('session_revoked')
  if (session.state === 'pending') return denied('session_pending')
  if (session.expiresAt <= now.getTime()) return denied('session_expired')
  return passed(session)
}

/** Whether the session there is for an nkey may become `credential`'s: never another's, never once revoked. */
export function mayEndorse(existing: SessionRecord, credential: CredentialKey): boolean {
  return existing.state !== 'revoked' && existing.credential === credential
}
