/**
 * Users in the text of nats-server.conf as `init` writes it: `{ nkey: $NAME, … }`, each also in `auth_users`. While an nkey
 * rotates, a copy with the next one stands beside it.
 */

/** The text with a copy of `name`'s user for `beside`; the text itself where there is one, null where `name` has none. */
export function addUserBeside(text: string, { name, beside }: { name: string; beside: string }): string | null {
  if (userOf(text, beside) !== null) return text
  const user = userOf(text, name)
  const listed = user === null ? null : listUsers(text, (users) => users.flatMap((it) => (it === `$${name}` ? [it, `$${beside}`] : [it])))
  if (user === null || listed === null) return null
  // The list of auth_users stands after or before: the block is looked for again.
  const there = userOf(listed, name)
  if (there === null) return null
  const indent = /[ \t]*$/.exec(listed.slice(0, there.from))?.[0] ?? ''
  const block = listed.slice(there.from, there.to)
  const copy = block.replace(variable(name), `$${beside}`)
  return `${listed.slice(0, there.to)}\n${indent}${copy}${listed.slice(there.to)}`
}

/** The text without what addUserBeside added. */
export function removeUserBeside(text: string, beside: string): string {
  const listed = listUsers(text, (users) => users.filter((it) => it !== `$${beside}`)) ?? text
  const user = userOf(listed, beside)
  if (user === null) return listed
  return listed.slice(0, user.from).replace(/\n?[ \t]*$/, '') + listed.slice(user.to)
}

/** Where the block of the user with `nkey: $name` is. */
function userOf(text: string, name: string): { from: number; to: number } | null {
  const found = new RegExp(`\\{\\s*nkey\\s*[:=]?\\s*${variable(name).source}`).exec(withoutComments(text))
  if (found === null) return null
  const to = endOfBlock(text, found.index)
  return to === null ? null : { from: found.index, to }
}

function variable(name: string): RegExp {
  return new RegExp(`\\$${name}(?![A-Za-z0-9_])`)
}

/** One past the brace that closes the one at `from`. */
function endOfBlock(text: string, from: number): number | null {
  const plain = withoutComments(text)
  let depth = 0
  let quoted = false
  for (let at = from; at < plain.length; at++) {
    const char = plain[at]
    if (char === '"') quoted = !quoted
    if (quoted) continue
    if (char === '{') depth++
    if (char === '}' && --depth === 0) return at + 1
  }
  return null
}

/** The same text, as long as before, with spaces where comments are. */
function withoutComments(text: string): string {
  return text.replace(/"[^"\n]*"|(?:#|\/\/)[^\n]*/g, (part) => (part.startsWith('"') ? part : ' '.repeat(part.length)))
}

/** The text with another list of `auth_users`, or null where there is none to read. */
function listUsers(text: string, change: (users: string[]) => string[]): string | null {
  const found = /\bauth_users\s*[:=]?\s*\[([^\]]*)\]/.exec(withoutComments(text))
  const inner = found?.[1]
  if (found === null || inner === undefined) return null
  const before = inner.split(/[\s,]+/).filter((it) => it !== '')
  const after = change(before)
  if (after.length === before.length) return text
  const from = found.index + found[0].lastIndexOf('[') + 1
  return `${text.slice(0, from)}${after.join(', ')}${text.slice(from + inner.length)}`
}
