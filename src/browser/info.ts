/** The first thing a NATS server says, and what may be read from it before anybody is asked for a tap. */
import { fromUtf8 } from '../core/encoding.ts'
import { PasskeyError } from './passkey-error.ts'

/** More than any cluster's list of addresses needs; a hostile server gets no further. */
export const infoBytesMax = 64 * 1024
const nonceCharsMax = 64

/** Where the first protocol line ends, its CRLF included, or -1 when `bytes` hold none yet. */
export function firstLineEnd(bytes: Uint8Array): number {
  for (let i = 0; i + 1 < bytes.length; i++) if (bytes[i] === 0x0d && bytes[i + 1] === 0x0a) return i + 2
  return -1
}

/** The nonce in an INFO line, or why there is none that nats-server would send. */
export function nonceOf(line: Uint8Array): string | PasskeyError {
  const match = /^INFO\s+([^\r\n]+)\r\n$/i.exec(fromUtf8(line) ?? '')
  const info = match === null ? null : parsed(match[1] as string)
  if (info === null || typeof info !== 'object') return new PasskeyError('info_refused', 'reading INFO: it is not that of a NATS server')
  const nonce: unknown = 'nonce' in info ? info.nonce : undefined
  if (nonce === undefined || nonce === '') return new PasskeyError('nonce_missing', 'reading INFO: the server sent no nonce')
  // A hostile server chooses the nonce: nothing else than what nats-server sends is signed.
  if (typeof nonce !== 'string' || nonce.length > nonceCharsMax || !/^[\x21-\x7e]+$/.test(nonce)) {
    return new PasskeyError('nonce_refused', `reading INFO: the nonce is not 1 to ${nonceCharsMax} printable ASCII characters`)
  }
  return nonce
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
