/** A terminal in a test: its session nkey, and what it signs. */
import { createUser } from 'nkeys.js'
import { ceremonyChallenge, possessionMessage, sessionSubject } from '../../src/core/protocol.ts'
import { sha256 } from '../../src/core/sha256.ts'
import { b64u } from './test-authenticator.ts'

/** `origin`: of the verifier that the terminal dialled. */
export function terminalKey(origin: string) {
  const pair = createUser()
  const nkey = pair.getPublicKey()
  return {
    nkey,
    pair,
    /** The nkey's signature over a `session` ceremony, unpadded base64url. */
    sign(issued: string, act: 'plain' | 'revoke'): string {
      const about = { purpose: 'session', issued: Buffer.from(issued, 'base64url'), origin, subject: sessionSubject(nkey, act) } as const
      return b64u(pair.sign(possessionMessage(sha256, ceremonyChallenge(sha256, about))))
    },
  }
}

export type TerminalKey = ReturnType<typeof terminalKey>
