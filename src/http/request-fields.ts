/** What members of request bodies may be. Their limits are here; what they mean is for core. */
import { z } from 'zod'
import { type CredentialId, parseCredentialId, parseUserNkey, type UserNkey } from '../core/identifiers.ts'

const ticketCharsMax = 256
const shortTextCharsMax = 64
const codeCharsMax = 32

/** What people read: a device's name, a host. Without anything that could forge a line of a log, or turn it around. */
export const shortText = z
  .string()
  .min(1)
  .max(shortTextCharsMax)
  .regex(/^[^\p{C}\p{Zl}\p{Zp}]+$/u)
export const ticket = z.string().min(1).max(ticketCharsMax)
export const ceremony = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/)
/** Id of a terminal's request. */
export const sessionRequest = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/)
/** What a person typed, as they typed it: core reads it. */
export const typedCode = z.string().min(1).max(codeCharsMax)
/** 32 bytes. */
export const secret = z.string().regex(/^[A-Za-z0-9_-]{43}$/)
/** An Ed25519 signature, 64 bytes. */
export const signature = z.string().regex(/^[A-Za-z0-9_-]{86}$/)
/** Read strictly by core, where the limits of its parts are. */
export const response = z.record(z.string(), z.unknown())
export const credentialId = z.custom<CredentialId>((value) => parseCredentialId(value) !== null)
export const userNkey = z.custom<UserNkey>((value) => parseUserNkey(value) !== null)
/** Of a listener that the system chose. Nobody's tap sends a browser to the services of its machine that have fixed, privileged ports. */
export const port = z.int().min(1_024).max(65_535)
export const nothing = z.strictObject({})
