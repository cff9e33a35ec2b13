/** What a responder process of the bench is told, in a file that only it reads. */
import { readFileSync } from 'node:fs'

export interface ResponderPlan {
  servers: string
  authSeed: string
  issuerSeed: string
  xkeySeed: string
  /** The address that clients sign. */
  url: string
  rpId: string
  /** Who may connect: WebAuthn ids and COSE keys, unpadded base64url. */
  credentials: { id: string; publicKey: string; handle: string }[]
  /** Written when it answers. */
  readyFile: string
}

/** The plan in the file that BENCH_PLAN names. */
export function readPlan(): ResponderPlan {
  return JSON.parse(readFileSync(process.env['BENCH_PLAN'] ?? '', 'utf8')) as ResponderPlan
}
