/** A machine's key and what it was enrolled as, in one file: JSON, 0600 (docs/client.md). */
import { base64url, fromBase64url } from '../core/encoding.ts'
import { WebAuthnClientError } from './client-error.ts'
import { createSecretFile, readSecretFile, replaceSecretFile } from './secret-file.ts'
import { type FileKey, fileKeyFromPkcs8, generateFileKey, type SigningKey } from './software-authenticator.ts'

/** What the verifier said when the key was enrolled. */
export interface Enrolled {
  /** Unpadded base64url. */
  credentialId: string
  rpId: string
  /** WebAuthn user.id, unpadded base64url. */
  userHandle: string
  handle: string
  /** Addresses of the NATS servers, as the verifier's operator lists them. */
  urls: string[]
  inboxPrefix: string
  roles: string[]
}

/** A key that signs, and the credential it belongs to: all that a connection needs. */
export interface MachineKey {
  key: SigningKey
  credentialId: string
  rpId: string
  userHandle: string
  handle: string
  /** Default: `_INBOX_<handle>`. */
  inboxPrefix?: string
  /** Addresses it was enrolled for. */
  urls?: readonly string[]
  /** false only for a key that cannot leave its hardware, and was registered so. Default: true. */
  backupEligible?: boolean
}

/** A key file that was enrolled. */
export interface EnrolledKeyFile extends MachineKey, Enrolled {
  key: FileKey
  urls: string[]
  inboxPrefix: string
}

/**
 * Makes a key where it will live, before the enrolment: it never travels. The file is pending until
 * `completeKeyFile`. Refuses to overwrite anything.
 */
export function createKeyFile(path: string, { alg = -7 }: { alg?: -7 | -8 } = {}): FileKey {
  const key = generateFileKey(alg)
  createSecretFile(path, `${JSON.stringify({ v: 1, alg, privateKey: base64url(key.toPkcs8()) }, null, 2)}\n`)
  return key
}

/** Writes what the verifier said into a pending key file. */
export function completeKeyFile(path: string, enrolled: Enrolled): void {
  const { key, members } = readKey(readSecretFile(path))
  if (members['credentialId'] !== undefined)
    throw new WebAuthnClientError('key_file_exists', 'completing the key file: it is enrolled already')
  const { credentialId, rpId, userHandle, handle, urls, inboxPrefix, roles } = enrolled
  const text = JSON.stringify(
    { v: 1, alg: key.alg, privateKey: base64url(key.toPkcs8()), credentialId, rpId, userHandle, handle, urls, inboxPrefix, roles },
    null,
    2,
  )
  parseKeyFile(text)
  replaceSecretFile(path, `${text}\n`)
}

/** The key in a pending file, to go on with an enrolment that was interrupted. */
export function loadPendingKey(path: string): FileKey {
  const { key, members } = readKey(readSecretFile(path))
  if (members['credentialId'] !== undefined)
    throw new WebAuthnClientError('key_file_exists', 'loading the pending key: it is enrolled already')
  return key
}

/** The key and its credential. Refuses a file that others may read, and one that was never enrolled. */
export function loadKeyFile(path: string): EnrolledKeyFile {
  return parseKeyFile(readSecretFile(path))
}

/** The same from the file's text, for secret stores that hand out text instead of files. */
export function parseKeyFile(text: string): EnrolledKeyFile {
  const { key, members } = readKey(text)
  if (members['credentialId'] === undefined)
    throw new WebAuthnClientError('key_file_pending', 'loading the key file: it was not enrolled yet')
  return {
    key,
    credentialId: textMember(members, 'credentialId', /^[A-Za-z0-9_-]{2,1364}$/),
    rpId: textMember(members, 'rpId', /^[a-z0-9.-]{1,253}$/),
    userHandle: textMember(members, 'userHandle', /^[A-Za-z0-9_-]{2,86}$/),
    handle: textMember(members, 'handle', /^[a-z0-9_-]{1,64}$/),
    urls: listMember(members, 'urls'),
    inboxPrefix: textMember(members, 'inboxPrefix', /^[\x21-\x7e]{1,128}$/),
    roles: listMember(members, 'roles'),
  }
}

const MEMBERS = new Set(['v', 'alg', 'privateKey', 'credentialId', 'rpId', 'userHandle', 'handle', 'urls', 'inboxPrefix', 'roles'])

function readKey(text: string): { key: FileKey; members: Record<string, unknown> } {
  const members = parseObject(text)
  const unknown = Object.keys(members).find((name) => !MEMBERS.has(name))
  if (unknown !== undefined) throw invalid('an unknown member')
  if (members['v'] !== 1) throw invalid('v')
  const pkcs8 = typeof members['privateKey'] === 'string' ? fromBase64url(members['privateKey']) : null
  if (pkcs8 === null) throw invalid('privateKey')
  let key: FileKey
  try {
    key = fileKeyFromPkcs8(pkcs8)
  } catch {
    // OpenSSL's words are dropped: a cause could carry pieces of what was parsed.
    throw invalid('privateKey')
  }
  if (members['alg'] !== key.alg) throw invalid('alg')
  return { key, members }
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // JSON.parse quotes the text it stumbled over, and the text holds the private key.
    throw invalid('the JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('the JSON')
  return Object.fromEntries(Object.entries(value))
}

function textMember(members: Record<string, unknown>, name: string, pattern: RegExp): string {
  const value = members[name]
  if (typeof value !== 'string' || !pattern.test(value)) throw invalid(name)
  return value
}

function listMember(members: Record<string, unknown>, name: string): string[] {
  const value = members[name]
  if (!Array.isArray(value) || value.length > 100) throw invalid(name)
  return value.map((item: unknown) => {
    if (typeof item !== 'string' || item.length > 300) throw invalid(name)
    return item
  })
}

function invalid(what: string): WebAuthnClientError {
  return new WebAuthnClientError('key_file_invalid', `reading the key file: ${what} is not as expected`)
}
