/** The crypto floor: the OpenSSL operations that one admitted connection cannot do without, timed alone. */
import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { cpuMicros } from './measure.ts'

export interface Floor {
  es256VerifyMicros: number
  ed25519VerifyMicros: number
  ed25519SignMicros: number
  /** Proof: verify the request and the assertion, sign the user JWT and the response. */
  proofMicros: number
  /** Resume: the session signature takes the assertion's place. */
  resumeMicros: number
}

export async function measureFloor(calls: number, rounds: number): Promise<Floor> {
  const message = Buffer.alloc(1500, 7)
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ed = generateKeyPairSync('ed25519')
  const ecSignature = sign('sha256', message, ec.privateKey)
  const edSignature = sign(null, message, ed.privateKey)
  const es256VerifyMicros = await cpuMicros(() => verify('sha256', message, ec.publicKey, ecSignature), { calls, rounds })
  const ed25519VerifyMicros = await cpuMicros(() => verify(null, message, ed.publicKey, edSignature), { calls, rounds })
  const ed25519SignMicros = await cpuMicros(() => sign(null, message, ed.privateKey), { calls, rounds })
  return {
    es256VerifyMicros,
    ed25519VerifyMicros,
    ed25519SignMicros,
    proofMicros: es256VerifyMicros + ed25519VerifyMicros + 2 * ed25519SignMicros,
    resumeMicros: 2 * ed25519VerifyMicros + 2 * ed25519SignMicros,
  }
}
