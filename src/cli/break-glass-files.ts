/**
 * The keys for emergencies that `init` makes, all of them switched off (docs/break-glass.md). They are made once, with the
 * file that names them: seeds that were taken offline are not made anew.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createUser } from 'nkeys.js'

/** The file that holds public keys and switches, included by nats-server.conf. */
export const BREAK_GLASS_FILE = 'nats-server.break-glass.conf'

/** What each is for. The variable of the public key is `BREAK_GLASS_` and this, its switch is that and `_BY`. */
export const BREAK_GLASS_NEEDS = {
  system: 'see servers and connections, close connections, move leaders',
  state: 'see the buckets in AUTH, move their leaders',
  audit: 'make room for the audit streams, move their leaders',
  application: 'publish and read the subjects of the application',
} as const
export type BreakGlassNeed = keyof typeof BREAK_GLASS_NEEDS

/** What a key that is off may sign in by: over MQTT, where no nkey can. */
const OFF = '["MQTT"]'
const needs = Object.keys(BREAK_GLASS_NEEDS) as BreakGlassNeed[]

const HEADING = `# Ways in when no verifier runs, all switched off. Public keys, no secrets: the seeds belong offline, each in its own envelope.
# ["MQTT"] is off: no nkey can sign in over MQTT. ["STANDARD"] is on, after \`nats-server --signal reload\`, which closes the
# connection of everybody who came through the verifier. Read docs/break-glass.md before, and switch off after.
`

/** The file's text with every switch off. */
export function breakGlassConf(publicKeys: Record<BreakGlassNeed, string>): string {
  const lines = needs.map((need) => {
    const variable = `BREAK_GLASS_${need.toUpperCase()}`
    return `\n# To ${BREAK_GLASS_NEEDS[need]}.\n${variable}: "${publicKeys[need]}"\n${variable}_BY: ${OFF}\n`
  })
  return HEADING + lines.join('')
}

/** Names of the keys that the file's text switches on. */
export function switchedOn(text: string): string[] {
  return [...text.matchAll(/^\s*BREAK_GLASS_(\w+)_BY\s*[:=]?\s*(.*)$/gm)].flatMap(([, name = '', value = '']) =>
    value.replace(/\s|#.*$/g, '') === OFF ? [] : [name.toLowerCase()],
  )
}

/** Writes what is missing by `write(path, text, mode)`; nothing once the file is there. */
export function writeBreakGlass(dir: string, write: (path: string, text: () => string, mode: number) => void): void {
  const isThere = existsSync(join(dir, BREAK_GLASS_FILE))
  const pairs = needs.map((need) => [need, createUser()] as const)
  if (!isThere) {
    for (const [need, pair] of pairs) write(`keys/break-glass/${need}.seed`, () => `${new TextDecoder().decode(pair.getSeed())}\n`, 0o600)
  }
  const publicKeys = Object.fromEntries(pairs.map(([need, pair]) => [need, pair.getPublicKey()])) as Record<BreakGlassNeed, string>
  write(BREAK_GLASS_FILE, () => breakGlassConf(publicKeys), 0o644)
}
