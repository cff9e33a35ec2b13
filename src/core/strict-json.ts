/**
 * JSON that can be read in one way only. JSON.parse keeps the last of two members with one name; a second reader that
 * keeps the first would see another message (RFC 8259 §4), so duplicates are refused, and so is deep nesting.
 */

/** The parsed value, or undefined when `text` is not JSON, repeats a member name or nests deeper than `depthMax`. */
export function parseStrictJson(text: string, depthMax: number): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return isUnambiguous(text, depthMax) ? value : undefined
}

// Runs only on text that JSON.parse accepted, so it may rely on the grammar.
function isUnambiguous(text: string, depthMax: number): boolean {
  const open: (Set<string> | null)[] = []
  let i = 0
  while (i < text.length) {
    const char = text.charCodeAt(i)
    if (char === 0x22) {
      const end = closingQuote(text, i)
      const names = open[open.length - 1]
      if (names && isMemberName(text, end + 1)) {
        const raw = text.slice(i + 1, end)
        const name = raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw
        if (names.has(name)) return false
        names.add(name)
      }
      i = end + 1
      continue
    }
    if (char === 0x7b || char === 0x5b) {
      open.push(char === 0x7b ? new Set() : null)
      if (open.length > depthMax) return false
    } else if (char === 0x7d || char === 0x5d) open.pop()
    i++
  }
  return true
}

function closingQuote(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end
}

/** Whether an odd number of backslashes stands before the character. */
function isEscaped(text: string, at: number): boolean {
  let i = at
  while (text.charCodeAt(i - 1) === 0x5c) i--
  return (at - i) % 2 === 1
}

function isMemberName(text: string, from: number): boolean {
  let i = from
  while (' \t\n\r'.includes(text.charAt(i)) && i < text.length) i++
  return text.charCodeAt(i) === 0x3a
}
