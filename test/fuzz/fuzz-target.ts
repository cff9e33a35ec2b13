/** What a coverage-guided fuzz target is: bytes in, nothing out, and an error where a promise about them is broken. */

export interface FuzzTarget {
  name: string
  /** Inputs to begin with: sound ones, so that mutations get past the first check. */
  seeds(): readonly Uint8Array[] | Promise<readonly Uint8Array[]>
  /** Pieces of text that the format is made of. */
  dictionary: readonly string[]
  /** `json`: inputs are also changed by their structure. */
  shape: 'bytes' | 'text' | 'json'
  /** Throws where a property does not hold. */
  run(input: Uint8Array): void | Promise<void>
}

export function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'utf8'))
}

/** Text of the input; bytes that are no UTF-8 are read as Latin-1, so that nothing is lost. */
export function textOf(input: Uint8Array): string {
  const text = Buffer.from(input).toString('utf8')
  return text.includes('\ufffd') ? Buffer.from(input).toString('latin1') : text
}

/** What is signed of a compact JWS, as text, and its signature's bytes: base64url of those may be spelled in several ways. */
export function jwsParts(token: string): string[] {
  const [header = '', payload = '', signature = '', ...rest] = token.split('.')
  return [header, payload, Buffer.from(signature, 'base64url').toString('hex'), ...rest]
}
