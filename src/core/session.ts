/** Session nkeys: what a resume proves, and when a session may be used (docs/protocol.md, "Session"). */
import { type Checked, denied, passed } from './checked.ts'
import type { CredentialKey, Nonce, ServerUrl, UserNkey } from './identifiers.ts'
import type { SignaturePort } from './ports.ts'
import { plainMessage, resumeMessage } from './protocol.ts'
import type { SessionRecord } from './records.ts'
import { sha256 } from './sha256.ts'

/** Whether `nkey` signed this connection's nonce and the dialled URL: possession, bound to both. */
export function verifyBoundResume(
  resume: { nkey: UserNkey; nonce: Nonce; url: ServerUrl; signature: Uint8Array },
  signatures: SignaturePort,
): boolean {
  return signatures.byUser(resume.nkey, resumeMessage(sha256, resume), resume.signature)
}

/** Whether `nkey` signed this connection's nonce, as every NATS client does. Binds no server address. */
export function verifyPlainResume(resume: { nkey: UserNkey; nonce: Nonce; signature: Uint8Array }, signatures: SignaturePort): boolean {
  return signatures.byUser(resume.nkey, plainMessage(resume.nonce), resume.signature)
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
