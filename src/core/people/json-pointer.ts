/** JSON pointers (RFC 6901) into data from outside: own members only, so that no name reaches a prototype. */

const pointerCharsMax = 512

/** The reference tokens of a pointer, or null when it is none. The pointer to the whole document has none. */
export function parsePointer(pointer: string): string[] | null {
  if (pointer === '') return []
  if (pointer.length > pointerCharsMax || !/^(?:\/(?:[^~/]|~[01])*)+$/.test(pointer)) return null
  // RFC 6901 §4: ~1 before ~0, so that ~01 is ~1.
  return pointer
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** What a valid pointer points to, or undefined when there is nothing. Throws when `pointer` is no pointer. */
export function atPointer(document: unknown, pointer: string): unknown {
  const tokens = parsePointer(pointer)
  if (tokens === null) throw new Error('reading a JSON pointer: it is none')
  return tokens.reduce(member, document)
}

function member(value: unknown, token: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  // An array has members that are no elements, such as its length.
  if (Array.isArray(value) && !/^(?:0|[1-9][0-9]{0,8})$/.test(token)) return undefined
  return Object.getOwnPropertyDescriptor(value, token)?.value
}
