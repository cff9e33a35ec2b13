/**
 * Text from outside, fit for a log or a record: what could forge a line, hide or reorder what stands beside it, or
 * steer a terminal is spelled out, and the length has an end.
 */

// Control, format (bidirectional overrides, zero-width), lone surrogates, line and paragraph separators; and the
// backslash itself, so that an escape can only be ours.
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\\]/gu

// Nearly every text there is; told apart faster than it is searched for what is rare.
const PLAIN = /^[\x20-\x5b\x5d-\x7e]*$/

/** `text` with unsafe characters as `\u{…}`, at most `charsMax` UTF-16 units of it; a cut text ends in `…`. */
export function safeText(text: string, charsMax: number): string {
  if (text.length <= charsMax && PLAIN.test(text)) return text
  const escaped = text.slice(0, charsMax + 1).replace(UNSAFE, (char) => `\\u{${(char.codePointAt(0) as number).toString(16)}}`)
  if (escaped.length <= charsMax) return escaped
  // Half of a surrogate pair is no character.
  return `${escaped.slice(0, charsMax - 1).replace(/[\ud800-\udbff]$/, '')}…`
}
