/** Signatures of nkeys, verified by what comes with Node. */
import { opensslEd25519 } from '../../src/core/ed25519.ts'
import { nkeySignatures } from '../../src/core/nkey-signatures.ts'

export const signatures = nkeySignatures(opensslEd25519)
