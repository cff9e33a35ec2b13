/** Places of connections that are being decided, for limits on how many an identity has. */
import type { Handle } from '../core/identifiers.ts'
import type { GuardPort } from '../core/ports.ts'
import type { GuardIndex } from './guard-index.ts'

/** Of each identity: the connections that have an entry, and those that are being decided; each counts once. */
export function createGuardPlaces(index: GuardIndex): Pick<GuardPort, 'reserve'> {
  const reserved = new Map<Handle, Set<string>>()
  return {
    reserve: (key, handle, max) => {
      const keys = reserved.get(handle) ?? new Set()
      // The same connection, asked about twice at once, needs one place.
      if (keys.has(key)) return () => {}
      let taken = index.countOf(handle, Date.now())
      for (const other of keys) if (index.get(other) === null) taken++
      if (taken >= max) return null
      reserved.set(handle, keys.add(key))
      return () => {
        keys.delete(key)
        if (keys.size === 0 && reserved.get(handle) === keys) reserved.delete(handle)
      }
    },
  }
}
