/** Many roles' subjects → the lists of one user JWT: union of allows, union of denies, deny wins. */
import type { Handle } from '../identifiers.ts'
import { covers, reachBelow, subscribePattern } from './subjects.ts'

/** A side of the permissions, from any number of roles, in any order. */
export interface SubjectLists {
  allow: string[]
  deny: string[]
}

/** The inbox that every identity has to itself. */
function inboxOf(handle: Handle): string {
  return `_INBOX_${handle}.>`
}

/** Publish lists, each entry once, sorted. */
export function mergePublish(lists: SubjectLists): SubjectLists {
  return { allow: sortedSet(lists.allow), deny: sortedSet(lists.deny) }
}

/** Subscribe lists with the identity's own inbox, and closed against what nats-server would let through beyond them. */
export function mergeSubscribe(lists: SubjectLists, handle: Handle): SubjectLists {
  const allow = sortedSet([...lists.allow, inboxOf(handle)])
  return { allow, deny: sortedSet([...lists.deny, ...deniesBelow(allow)]) }
}

/** Denies of what an allow that ends in `*` would admit below itself, unless another allow grants all of that anyway. */
export function deniesBelow(allow: readonly string[]): string[] {
  const patterns = allow.map(subscribePattern)
  return patterns.flatMap(({ subject, queue }) => {
    const below = reachBelow(subject)
    if (below === null) return []
    const granted = patterns.some((other) => (other.queue === null || other.queue === queue) && covers(other.subject, below))
    return granted ? [] : [below]
  })
}

function sortedSet(entries: readonly string[]): string[] {
  return [...new Set(entries)].sort()
}
