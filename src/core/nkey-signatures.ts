/** Signatures by nkeys, with each key parsed once. */
import type { Ed25519, Ed25519PublicKey } from './ed25519.ts'
import type { ServerId, UserNkey } from './identifiers.ts'
import { decodePublicNkey, type NkeyKind } from './nkey.ts'
import type { SignaturePort } from './ports.ts'

// Servers apart from users: a cluster has few of them, and however many users come, theirs are the keys of every request.
// Bounded, because anybody can make a key.
const serverKeysMax = 1024
const userKeysMax = 10_000

/** Verifies what servers and users signed. */
export function nkeySignatures(ed25519: Ed25519): SignaturePort {
  const servers = parsedKeys(ed25519, 'N', serverKeysMax)
  const users = parsedKeys(ed25519, 'U', userKeysMax)
  return {
    byServer: (id: ServerId, message, signature) => servers(id)?.verify(message, signature) === true,
    byUser: (nkey: UserNkey, message, signature) => users(nkey)?.verify(message, signature) === true,
  }
}

function parsedKeys(ed25519: Ed25519, kind: NkeyKind, keysMax: number): (nkey: string) => Ed25519PublicKey | null {
  const keys = new Map<string, Ed25519PublicKey>()
  return (nkey) => {
    const known = keys.get(nkey)
    if (known !== undefined) return known
    const raw = decodePublicNkey(kind, nkey)
    if (raw === null) return null
    if (keys.size >= keysMax) keys.clear()
    const key = ed25519.publicKey(raw)
    keys.set(nkey, key)
    return key
  }
}
