/** `assertion check`: explains one refusal offline, by the same code that refused (docs/webauthn.md). */
import type { DenialReason } from '../denial.ts'
import { fromBase64url } from '../encoding.ts'
import { type CredentialId, parseCredentialId } from '../identifiers.ts'
import type { CredentialClass } from '../records.ts'
import { DEFAULT_ALGORITHMS } from '../rules.ts'
import { parseStrictJson } from '../strict-json.ts'
import { type ExpectedAssertion, judgeSignCount, verifyAssertion } from './assertion.ts'
import { parseAssertionResponse } from './assertion-response.ts'

const lineCharsMax = 64 * 1024
const jsonDepthMax = 16
const userHandleBytesMax = 64
const signCountMax = 0xffff_ffff

// There is no clock here: the stored count (time 0) is old, so a counter that went back is a regression and no race.
const STORED_AT = 0
const NOW = new Date(60_000)

/** One line of output. */
export interface AssertionVerdict {
  name?: string
  verdict: 'accepted' | 'denied'
  reason?: DenialReason
}

/** The line is not valid input; the message names the member and never its value. */
export interface InputError {
  inputError: string
}

/** A credential as far as a line of input describes it. */
interface CheckedCredential {
  id: CredentialId
  publicKey: string
  signCount: number
  backupEligible: boolean
  /** Null when the input does not say. */
  userHandle: string | null
}

interface CheckInput {
  name: string | null
  expected: ExpectedAssertion
  credential: CheckedCredential
  response: unknown
}

/** The verdict on one line of JSON, or what is wrong with the line. Pure: reads no clock, throws on no input. */
export function checkAssertionLine(line: string): AssertionVerdict | InputError {
  const input = readInput(line)
  if ('inputError' in input) return input
  const { name, expected, credential, response } = input
  const denial = denialOf(expected, credential, response)
  return {
    ...(name === null ? {} : { name }),
    ...(denial === null ? { verdict: 'accepted' } : { verdict: 'denied', reason: denial }),
  }
}

function denialOf(expected: ExpectedAssertion, credential: CheckedCredential, response: unknown): DenialReason | null {
  const assertion = parseAssertionResponse(response)
  if (!assertion.ok) return assertion.denial
  // Where the input does not say whose the credential is, there is nothing to compare with.
  const userHandle = credential.userHandle ?? assertion.value.userHandle ?? ''
  const record = { ...credential, userHandle, signCountAt: STORED_AT, rpId: expected.rpId, class: expected.class }
  const verified = verifyAssertion(assertion.value, record, expected)
  if (!verified.ok) return verified.denial
  const count = judgeSignCount(record, verified.value, NOW)
  return count.ok ? null : count.denial
}

const MEMBERS = ['name', 'rpId', 'origins', 'challenge', 'requireUserVerification', 'class', 'credential', 'response']
const CREDENTIAL_MEMBERS = ['id', 'publicKey', 'signCount', 'backupEligible', 'userHandle']

function readInput(line: string): CheckInput | InputError {
  if (line.length > lineCharsMax) return { inputError: `the line is longer than ${lineCharsMax} characters` }
  const value = parseStrictJson(line, jsonDepthMax)
  if (value === undefined) return { inputError: 'the line is not JSON, repeats a member or nests too deep' }
  if (!isObject(value)) return { inputError: 'the line is not a JSON object' }
  const unknown = Object.keys(value).find((name) => !MEMBERS.includes(name))
  if (unknown !== undefined) return { inputError: `unknown member ${JSON.stringify(unknown)}` }
  const { name, rpId, origins, requireUserVerification, response } = value
  if (name !== undefined && typeof name !== 'string') return wrong('name', 'a string')
  if (typeof rpId !== 'string' || rpId === '') return wrong('rpId', 'a non-empty string')
  if (!isStringArray(origins)) return wrong('origins', 'an array of strings')
  const challenge = typeof value['challenge'] === 'string' ? fromBase64url(value['challenge']) : null
  if (challenge === null || challenge.length === 0) return wrong('challenge', 'non-empty unpadded base64url')
  if (typeof requireUserVerification !== 'boolean') return wrong('requireUserVerification', 'true or false')
  const classOf = value['class'] ?? 'person'
  if (!isClass(classOf) || value['class'] === null) return wrong('class', '"person" or "machine"')
  const credential = readCredential(value['credential'])
  if ('inputError' in credential) return credential
  if (response === undefined) return wrong('response', 'an AuthenticationResponseJSON')
  return {
    name: name ?? null,
    expected: { challenge, rpId, origins, class: classOf, requireUserVerification, algorithms: DEFAULT_ALGORITHMS },
    credential,
    response,
  }
}

function readCredential(value: unknown): CheckedCredential | InputError {
  if (!isObject(value)) return wrong('credential', 'an object')
  const unknown = Object.keys(value).find((name) => !CREDENTIAL_MEMBERS.includes(name))
  if (unknown !== undefined) return { inputError: `unknown member ${JSON.stringify(`credential.${unknown}`)}` }
  const { publicKey, signCount, backupEligible, userHandle } = value
  const id = parseCredentialId(value['id'])
  if (id === null) return wrong('credential.id', 'unpadded base64url of 1 to 1023 bytes')
  // What is no key is the verifier's to refuse, as it would refuse such a record.
  if (typeof publicKey !== 'string') return wrong('credential.publicKey', 'a string')
  if (!isSignCount(signCount)) return wrong('credential.signCount', 'an integer from 0 to 4294967295')
  if (typeof backupEligible !== 'boolean') return wrong('credential.backupEligible', 'true or false')
  if (userHandle !== undefined && !isUserHandle(userHandle)) {
    return wrong('credential.userHandle', `unpadded base64url of 1 to ${userHandleBytesMax} bytes`)
  }
  return { id, publicKey, signCount, backupEligible, userHandle: userHandle ?? null }
}

function wrong(member: string, wanted: string): InputError {
  return { inputError: `${member} is missing or is not ${wanted}` }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isStringArray(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

function isClass(value: unknown): value is CredentialClass {
  return value === 'person' || value === 'machine'
}

function isSignCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= signCountMax
}

function isUserHandle(value: unknown): value is string {
  if (typeof value !== 'string') return false
  const bytes = fromBase64url(value)
  return bytes !== null && bytes.length > 0 && bytes.length <= userHandleBytesMax
}
