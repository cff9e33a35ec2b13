/** The crypto floor: the OpenSSL operations that one admitted connection cannot do without, timed alone. */
import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { type Timed, timedCpu } from './measure.ts'

export type Kind = 'proof' | 'resume'

export interface Floor extends Record<Kind, number> {
  es256VerifyMicros: number
  ed25519VerifyMicros: number
  ed25519SignMicros: number
}

/** Times each operation over `calls` of them a round. */
export async function timedFloor(calls: number): Promise<Timed<Floor>> {
  // About as long as what is signed for one connection.
  const message = Buffer.alloc(1500, 7)
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ed = generateKeyPairSync('ed25519')
  const ecSignature = sign('sha256', message, ec.privateKey)
  const edSignature = sign(null, message, ed.privateKey)
  const es256Verify = await timedCpu(() => verify('sha256', message, ec.publicKey, ecSignature), { calls })
  const ed25519Verify = await timedCpu(() => verify(null, message, ed.publicKey, edSignature), { calls })
  const ed25519Sign = await timedCpu(() => sign(null, message, ed.privateKey), { calls })
  return async () => {
    const es256VerifyMicros = await es256Verify()
    const ed25519VerifyMicros = await ed25519Verify()
    const ed25519SignMicros = await ed25519Sign()
    return {
      es256VerifyMicros,
      ed25519VerifyMicros,
      ed25519SignMicros,
      // Verify the request and the assertion; sign the user JWT and the response.
      proof: es256VerifyMicros + ed25519VerifyMicros + 2 * ed25519SignMicros,
      // The session signature takes the assertion's place.
      resume: 2 * ed25519VerifyMicros + 2 * ed25519SignMicros,
    }
  }
}
