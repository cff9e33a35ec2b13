/** The RegistrationResponseJSON (WebAuthn L3 §5.1 `toJSON`), decoded with its limits. */
import { z } from 'zod'
import { fromBase64url } from '../encoding.ts'
import { type CredentialId, parseCredentialId } from '../identifiers.ts'

const clientDataBytesMax = 4 * 1024
const attestationObjectBytesMax = 8 * 1024
const transportsMax = 8
// WebAuthn L3 §4, "credential ID": at least 16 bytes.
const credentialIdBytesMin = 16

export interface RegistrationResponse {
  id: CredentialId
  clientDataJSON: Uint8Array
  attestationObject: Uint8Array
  transports: string[]
}

// What browsers derive from the attestation object for the page's convenience is let through and never read.
const schema = z.strictObject({
  id: z.string(),
  rawId: z.string().optional(),
  type: z.literal('public-key'),
  response: z.strictObject({
    clientDataJSON: base64urlOf(clientDataBytesMax),
    attestationObject: base64urlOf(attestationObjectBytesMax),
    transports: z
      .array(z.string().regex(/^[a-z-]{1,32}$/))
      .max(transportsMax)
      .optional(),
    authenticatorData: z.string().optional(),
    publicKey: z.string().optional(),
    publicKeyAlgorithm: z.number().optional(),
  }),
  clientExtensionResults: z.record(z.string(), z.unknown()).optional(),
  authenticatorAttachment: z.enum(['platform', 'cross-platform']).nullish(),
})

/** The response, or null: known members only, each within its limit, ids alike. */
export function parseRegistrationResponse(value: unknown): RegistrationResponse | null {
  const parsed = schema.safeParse(value)
  if (!parsed.success) return null
  const { id: text, rawId, response } = parsed.data
  const id = parseCredentialId(text)
  if (id === null || (rawId !== undefined && rawId !== id)) return null
  if (id.length < Math.ceil((credentialIdBytesMin * 4) / 3)) return null
  const { clientDataJSON, attestationObject, transports } = response
  return { id, clientDataJSON, attestationObject, transports: transports ?? [] }
}

function base64urlOf(bytesMax: number) {
  return z
    .string()
    .max(Math.ceil((bytesMax * 4) / 3))
    .transform((text, context) => {
      const bytes = fromBase64url(text)
      if (bytes !== null) return bytes
      context.addIssue('not base64url')
      return z.NEVER
    })
}
