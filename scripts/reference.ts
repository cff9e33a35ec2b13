/**
 * Draws the generated parts of docs/configuration.md and docs/cli.md from the schema and the table of commands.
 * A test compares; this writes them anew:
 *
 *   node --import tsx scripts/reference.ts
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { Command } from '../src/cli/command.ts'
import { COMMANDS } from '../src/cli/commands.ts'
import { helpOf } from '../src/cli/help.ts'
import { configSchema } from '../src/config-schema.ts'

interface JsonSchema {
  type?: string
  title?: string
  description?: string
  default?: unknown
  const?: unknown
  enum?: unknown[]
  properties?: Record<string, JsonSchema>
  required?: string[]
  items?: JsonSchema
  anyOf?: JsonSchema[]
}

/** The table of every setting. */
function configurationTable(): string {
  const schema = z.toJSONSchema(configSchema, { io: 'input' }) as JsonSchema
  return ['| setting | value | default | what it is |', '|---|---|---|---|', ...rows(schema, '')].join('\n')
}

function rows(schema: JsonSchema, prefix: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, member]) => {
    const name = `${prefix}${key}`
    const isRequired = schema.required?.includes(key) === true
    const section = member.properties !== undefined
    // A section's own default is its members' defaults.
    const standard = isRequired ? '*required*' : member.default === undefined || section ? '' : `\`${JSON.stringify(member.default)}\``
    const row = `| \`${name}\` | ${kindOf(member)} | ${standard} | ${member.description ?? ''} |`
    const inner = [member, ...(member.anyOf ?? [])].flatMap((part) => rows(part, `${name}.`))
    const items = [member.items ?? {}, ...(member.items?.anyOf ?? [])].flatMap((part) => rows(part, `${name}[].`))
    return [row, ...inner, ...items]
  })
}

function kindOf(schema: JsonSchema): string {
  if (schema.title !== undefined) return schema.title
  if (schema.const !== undefined) return `\`${String(schema.const)}\``
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${String(value)}\``).join(', ')
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map(kindOf))].join(' or ')
  if (schema.items !== undefined) return `list of ${kindOf(schema.items)}`
  return schema.properties === undefined ? (schema.type ?? 'value') : 'section'
}

/** The help of every command, as `nats-webauthn help COMMAND` prints it. */
function commandReference(commands: readonly Command[] = COMMANDS): string {
  return commands.map((command) => `### \`${command.name}\`\n\n\`\`\`text\n${helpOf(command)}\n\`\`\``).join('\n\n')
}

const BEGIN = '<!-- generated: node --import tsx scripts/reference.ts -->'
const END = '<!-- end of the generated part -->'

/** `text` with its generated part replaced. */
export function withGenerated(text: string, generated: string): string {
  const begin = text.indexOf(BEGIN)
  const end = text.indexOf(END)
  if (begin < 0 || end < begin) throw new Error('finding the marks of the generated part')
  return `${text.slice(0, begin)}${BEGIN}\n\n${generated}\n\n${text.slice(end)}`
}

/** What each page's generated part must be. */
export const GENERATED: Readonly<Record<string, () => string>> = {
  'docs/configuration.md': configurationTable,
  'docs/cli.md': commandReference,
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, generate] of Object.entries(GENERATED)) {
    const file = new URL(`../${path}`, import.meta.url)
    writeFileSync(file, withGenerated(readFileSync(file, 'utf8'), generate()))
  }
}
