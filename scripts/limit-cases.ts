/** The journey vectors of limited signatures: what failed before, and whom that shuts out. */
import { boundSig, endorsedSession, plainSig, proofSig, rules, type Scenario } from '../test/support/scenario.ts'

/** Signatures that failed at the moment of the request; of the request's own credential unless it says otherwise. */
export interface FailedBefore {
  source: string
  credential?: string
  times: number
}

interface LimitCase {
  name: string
  description: string
  expect: { outcome: 'granted' | 'denied'; reason: string }
  before?: (s: Scenario) => void
  sig?: (s: Scenario) => string
  failed: FailedBefore[]
}

const denied = (reason: string) => ({ outcome: 'denied' as const, reason })
const granted = (reason: string) => ({ outcome: 'granted' as const, reason })
const endorsed = (s: Scenario) => void s.sessions.push(endorsedSession(s))

// biome-ignore format: the cases are read as a table.
export const LIMIT_CASES: LimitCase[] = [
  { name: 'signature-of-a-limited-source', description: 'A good proof, but its source failed 120 times with others, and once with this credential.', failed: [{ source: '127.0.0.1', credential: 'x'.repeat(43), times: 120 }, { source: '127.0.0.1', times: 1 }], expect: denied('source_limited') },
  { name: 'signature-of-a-limited-credential', description: 'A good proof, but others failed 60 times with its credential, and its source once.', failed: [{ source: '198.51.100.9', times: 60 }, { source: '127.0.0.1', times: 1 }], expect: denied('credential_limited') },
  { name: 'signature-after-ten-failures', description: 'A good proof, but its source failed ten times with this credential.', failed: [{ source: '127.0.0.1', times: 10 }], expect: denied('credential_limited') },
  { name: 'resume-after-ten-failures', description: 'Sessions count as their credential does.', before: endorsed, sig: boundSig, failed: [{ source: '127.0.0.1', times: 10 }], expect: denied('credential_limited') },
  { name: 'plain-resume-after-ten-failures', description: 'And so do those of stock clients.', before: endorsed, sig: plainSig, failed: [{ source: '127.0.0.1', times: 10 }], expect: denied('credential_limited') },
  { name: 'replay-after-ten-failures', description: 'What is wrong before the signature is told, limits or not.', sig: (s) => { const sig = proofSig(s); s.nonce = 'AnotherNonce_15'; return sig }, failed: [{ source: '127.0.0.1', times: 10 }], expect: denied('challenge_mismatch') },
  { name: 'attacked-from-elsewhere', description: 'Others failed a thousand times with its credential: they cannot shut out its owner.', failed: [{ source: '198.51.100.9', times: 1_000 }], expect: granted('proof') },
  { name: 'attacked-from-the-same-network', description: 'Somebody behind the same address failed a thousand times with other credentials.', failed: [{ source: '127.0.0.1', credential: 'x'.repeat(43), times: 1_000 }], expect: granted('proof') },
  { name: 'attacked-behind-a-proxy', description: 'Everybody has the address of the proxy: one attacker must not speak for all.', before: (s) => { s.rules = rules({ behindProxy: true }) }, failed: [{ source: '127.0.0.1', times: 1_000 }], expect: granted('proof') },
]
