/**
 * ECDSA signatures in DER, and only in DER, so that one signature has one spelling. Node's present OpenSSL encodes what it
 * read again and compares; other libraries read BER too. Here it rests on no library's habit, and no ASN.1 parser of
 * theirs meets bytes from strangers.
 */

const SEQUENCE = 0x30
const INTEGER = 0x02

/**
 * Whether `bytes` are the DER encoding of an Ecdsa-Sig-Value (RFC 3279 §2.2.3) with r and s of 1 to `scalarBytes` bytes.
 * That they are below the group order is for the verification itself to judge.
 */
export function isStrictEcdsaSignature(bytes: Uint8Array, scalarBytes: number): boolean {
  if (bytes[0] !== SEQUENCE) return false
  let at = 2
  let length = bytes[1] ?? 0
  if (length === 0x81) {
    // The long form is only for lengths that the short form cannot say (X.690 §10.1).
    length = bytes[2] ?? 0
    if (length < 0x80) return false
    at = 3
  } else if (length >= 0x80) return false
  if (bytes.length !== at + length) return false
  const afterR = endOfPositiveInteger(bytes, at, scalarBytes)
  return afterR !== -1 && endOfPositiveInteger(bytes, afterR, scalarBytes) === bytes.length
}

/** Index after a positive INTEGER in its shortest form (X.690 §8.3.2), or -1. */
function endOfPositiveInteger(bytes: Uint8Array, start: number, valueBytesMax: number): number {
  if (bytes[start] !== INTEGER) return -1
  const length = bytes[start + 1] ?? 0
  const first = start + 2
  const end = first + length
  if (length === 0 || end > bytes.length) return -1
  const lead = bytes[first] as number
  if (lead >= 0x80) return -1
  if (lead !== 0) return length <= valueBytesMax ? end : -1
  // A leading zero is there only to keep the number positive; alone it would be the number zero.
  const isNeeded = length > 1 && (bytes[first + 1] as number) >= 0x80
  return isNeeded && length - 1 <= valueBytesMax ? end : -1
}
