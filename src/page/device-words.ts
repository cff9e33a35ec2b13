/** A device in words: what it is, how much of that is proven, and what it is good for. */
import type { DeviceView } from '../core/people/people.ts'
import { modelName } from './known-models.ts'
import { demandWords } from './words.ts'

const NO_MODEL = '00000000-0000-0000-0000-000000000000'

/** What model it is, with "says" where nothing proves it. */
export function modelWords({ aaguid, model, trust }: DeviceView): string {
  const known = modelName(aaguid)
  if (trust === 'mds') return `${model ?? known ?? aaguid} (proven by its maker’s certificate)`
  if (aaguid === NO_MODEL) return 'It does not say what model it is'
  if (known === null) return 'It names a model that this page does not know'
  return `It says it is ${known}`
}

/** Where the passkey lives. */
export function bindingWords({ synced }: DeviceView): string {
  return synced ? 'Synced: your passkey manager can copy it to your other devices' : 'Device-bound: it cannot leave this device'
}

/** Whether it survives the loss of the device. */
export function backupWords({ synced, backedUp }: DeviceView): string {
  if (!synced) return 'No: if you lose this device, enrol another one'
  return backedUp ? 'Yes, by your passkey manager' : 'Not yet'
}

/** What a role needs beyond this device, in words; null when it gives the role. */
export function missingWords(unmet: readonly string[]): string | null {
  if (unmet.length === 0) return null
  const demands = unmet.map((requirement) => demandWords(requirement) ?? 'something that this page has no words for')
  const last = demands.pop() ?? ''
  return demands.length === 0 ? last : `${demands.join(', ')} and ${last}`
}

/** What the state of a device means for its owner; null when it is simply in force. */
export function stateWords(state: DeviceView['state']): string | null {
  switch (state) {
    case 'active':
      return null
    case 'pending':
      return 'Not finished: it has not signed yet'
    case 'quarantined':
      return 'Blocked: it looks as if it was copied. Ask your administrator'
    case 'revoked':
      return 'Removed'
  }
}

/** A short name for the platform this page runs on. */
export function platformName(userAgent: string, maxTouchPoints: number): string {
  if (/iPhone/.test(userAgent)) return 'iPhone'
  // iPads call themselves Macs; Macs have no touch screen.
  if (/iPad/.test(userAgent) || (/Macintosh/.test(userAgent) && maxTouchPoints > 1)) return 'iPad'
  if (/Macintosh/.test(userAgent)) return 'Mac'
  if (/Android/.test(userAgent)) return /Mobile/.test(userAgent) ? 'Android phone' : 'Android tablet'
  if (/CrOS/.test(userAgent)) return 'Chromebook'
  if (/Windows/.test(userAgent)) return 'Windows PC'
  if (/Linux/.test(userAgent)) return 'Linux computer'
  return 'My device'
}

/** `wanted`, with a number when a device has that name already. */
export function freeName(wanted: string, taken: readonly string[]): string {
  if (!taken.includes(wanted)) return wanted
  for (let n = 2; ; n++) if (!taken.includes(`${wanted} ${n}`)) return `${wanted} ${n}`
}

export const nameCharsMax = 64
// As the service reads names: no control, format or line-breaking characters.
const NAME = /^[^\p{C}\p{Zl}\p{Zp}]+$/u

/** What is wrong with a device's name, or null. */
export function nameProblem(name: string): string | null {
  if (name === '') return 'Give the device a name.'
  if (name.length > nameCharsMax) return `Use at most ${nameCharsMax} characters.`
  return NAME.test(name) ? null : 'Use letters, digits, spaces and punctuation only.'
}
