/**
 * The crypto floor: the operations that one admitted connection cannot do without, timed alone. All ratios refer to OpenSSL's;
 * libsodium's Ed25519 is faster, and is stated beside it where the optional package is there.
 */
import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { ed25519RawPublic } from '../src/core/ed25519.ts'
import { loadLibsodium } from '../src/libsodium.ts'
import { type Timed, timedCpu } from './measure.ts'

/** `endorsing`: a proof that also endorses a session key, as SDKs connect first. */
export type Kind = 'proof' | 'endorsing' | 'resume'

export interface Floor extends Record<Kind, number> {
  es256VerifyMicros: number
  ed25519VerifyMicros: number
  ed25519SignMicros: number
}

export interface Floors {
  openssl: Floor
  /** ES256 is OpenSSL's here too: libsodium has none. Null where it cannot be had. */
  libsodium: Floor | null
}

// About as long as what is signed for one connection.
const message = Buffer.alloc(1500, 7)

/** Times each operation over `calls` of them a round. */
export async function timedFloors(calls: number): Promise<Timed<Floors>> {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ed = generateKeyPairSync('ed25519')
  const ecSignature = sign('sha256', message, ec.privateKey)
  const edSignature = sign(null, message, ed.privateKey)
  const es256Verify = await timedCpu(() => verify('sha256', message, ec.publicKey, ecSignature), { calls })
  const ed25519Verify = await timedCpu(() => verify(null, message, ed.publicKey, edSignature), { calls })
  const ed25519Sign = await timedCpu(() => sign(null, message, ed.privateKey), { calls })
  const sodium = await timedLibsodium(calls)
  return async () => {
    const es256VerifyMicros = await es256Verify()
    const openssl = floorOf(es256VerifyMicros, await ed25519Verify(), await ed25519Sign())
    return { openssl, libsodium: sodium && floorOf(es256VerifyMicros, await sodium.verify(), await sodium.sign()) }
  }
}

async function timedLibsodium(calls: number): Promise<{ verify: Timed<number>; sign: Timed<number> } | null> {
  const crypto = loadLibsodium()
  if (crypto === null) return null
  const { privateKey } = generateKeyPairSync('ed25519')
  const seed = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32)
  const key = crypto.ed25519.privateKey(seed)
  const publicKey = crypto.ed25519.publicKey(ed25519RawPublic(privateKey))
  const signature = key.sign(message)
  return {
    verify: await timedCpu(() => publicKey.verify(message, signature), { calls }),
    sign: await timedCpu(() => key.sign(message), { calls }),
  }
}

function floorOf(es256VerifyMicros: number, ed25519VerifyMicros: number, ed25519SignMicros: number): Floor {
  return {
    es256VerifyMicros,
    ed25519VerifyMicros,
    ed25519SignMicros,
    // Verify the request and the assertion; sign the user JWT and the response.
    proof: es256VerifyMicros + ed25519VerifyMicros + 2 * ed25519SignMicros,
    // The session's signature comes with the assertion,
    endorsing: es256VerifyMicros + 2 * ed25519VerifyMicros + 2 * ed25519SignMicros,
    // or takes its place.
    resume: 2 * ed25519VerifyMicros + 2 * ed25519SignMicros,
  }
}
