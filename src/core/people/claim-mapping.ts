/**
 * What a provider's claims say of a person: roles, where to begin the search for a handle, a name to show, values for
 * templates. Groups that the provider left out are refused, never read as none (ADR-0013).
 */
import type { Policy } from '../policy/policy.ts'
import { accepted, type Judged, loginRefused } from '../refusal.ts'
import { safeText } from '../safe-text.ts'
import { atPointer, parsePointer } from './json-pointer.ts'
import type { ClaimMapping, IdpStatement } from './people.ts'

export interface PersonClaims {
  /** Names of roles, each once, in the order of the map; empty when nothing is mapped. */
  roles: string[]
  /** Where the search for a handle begins: `[a-z0-9_-]{1,56}`. */
  handleHint: string
  displayName: string
  /** Values for templates, by name. */
  claims: Record<string, string>
}

const roleValuesMax = 2_000
const roleValueCharsMax = 1_024
const handleHintCharsMax = 56
const handleSourceCharsMax = 256
const displayNameCharsMax = 128
const templateValueCharsMax = 128
/** For people of whom the provider says nothing that a handle could be made of. */
const namelessHandle = 'person'

/** Reads a checked statement. Refused: `groups_overage`, `role_claim_malformed`, `claim_malformed`. */
export function readClaims({ claims }: IdpStatement, mapping: ClaimMapping): Judged<PersonClaims> {
  const roles = rolesOf(claims, mapping.roles)
  if (!roles.ok) return roles
  const templates = templateClaims(claims, mapping.claims)
  if (!templates.ok) return templates
  const handleHint = handleHintOf(atPointer(claims, mapping.handle.pointer), mapping.handle.prefix)
  const displayName = displayNameOf(atPointer(claims, mapping.displayName.pointer)) ?? handleHint
  return accepted({ roles: roles.value, handleHint, displayName, claims: templates.value })
}

/** Names in the map that are no roles of the policy, each once. */
export function rolesNotInPolicy(mapping: ClaimMapping, policy: Policy): string[] {
  const known = new Set<string>(policy.roles.keys())
  return [...new Set([...mapping.roles.map.values()].flat())].filter((name) => !known.has(name))
}

function rolesOf(claims: IdpStatement['claims'], mapping: ClaimMapping['roles']): Judged<string[]> {
  if (isLeftOut(claims, mapping.pointer)) return loginRefused('groups_overage', 'left_out')
  const claim = atPointer(claims, mapping.pointer)
  // No role claim, no roles.
  if (claim === undefined) return accepted([])
  const values: unknown[] = Array.isArray(claim) ? claim : [claim]
  if (!values.every((value) => typeof value === 'string')) return loginRefused('role_claim_malformed', 'type')
  // A list as long as the longest that the provider issues may have been cut.
  if (Array.isArray(claim) && mapping.listMax !== null && values.length >= mapping.listMax)
    return loginRefused('groups_overage', 'list_max')
  if (values.length > roleValuesMax || values.some((value) => value.length > roleValueCharsMax))
    return loginRefused('role_claim_malformed', 'size')
  const held = new Set(values)
  return accepted([...new Set([...mapping.map].flatMap(([value, roles]) => (held.has(value) ? roles : [])))])
}

/**
 * OIDC Core §5.6.2: a claim named in `_claim_names` is kept elsewhere; Entra ID does that to `groups` beyond 200, and says
 * `hasgroups` where even that does not fit.
 */
function isLeftOut(claims: IdpStatement['claims'], pointer: string): boolean {
  const [claim] = parsePointer(pointer) ?? []
  if (claim === undefined) return false
  const elsewhere = atPointer(claims, '/_claim_names')
  if (typeof elsewhere === 'object' && elsewhere !== null && Object.hasOwn(elsewhere, claim)) return true
  const has = atPointer(claims, '/hasgroups')
  return claim === 'groups' && (has === true || has === 'true')
}

function templateClaims(claims: IdpStatement['claims'], pointers: ClaimMapping['claims']): Judged<Record<string, string>> {
  const values: [string, string][] = []
  for (const [name, pointer] of Object.entries(pointers)) {
    const value = atPointer(claims, pointer)
    // A template without its value gives nothing; that is for the policy to judge, at each connection.
    if (value === undefined || value === '') continue
    if (typeof value !== 'string' || safeText(value, templateValueCharsMax) !== value) return loginRefused('claim_malformed', name)
    values.push([name, value])
  }
  // Defines own members, whatever they are called.
  return accepted(Object.fromEntries(values))
}

function handleHintOf(claim: unknown, prefix: string): string {
  const text = typeof claim === 'string' ? claim.slice(0, handleSourceCharsMax) : ''
  // Of an address the part that names the person; letters without their accents.
  const slug = (text.split('@', 1)[0] ?? '')
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, '-')
  const name = slug.slice(0, handleHintCharsMax - prefix.length).replace(/^-+|-+$/g, '')
  return `${prefix}${name === '' ? namelessHandle : name}`
}

function displayNameOf(claim: unknown): string | null {
  return typeof claim === 'string' && claim.trim() !== '' ? safeText(claim.trim(), displayNameCharsMax) : null
}
