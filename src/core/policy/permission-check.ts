/**
 * What nats-server does with a subject under given permissions, for explanations and policy tests. It decides nothing
 * about a connection; the matrix test holds it against real servers.
 */
import type { Permissions } from './policy.ts'
import { admits, covers, isLiteral, overlaps, type SubscribePattern, subscribePattern } from './subjects.ts'

/**
 * `filtered`: a wildcard subscription is accepted, but what the entry of the deny list `by` matches is not delivered.
 * `by` is null where no allow matches, which is a denial too.
 */
export type SubjectVerdict =
  | { verdict: 'allowed'; by: string }
  | { verdict: 'filtered'; by: string }
  | { verdict: 'denied'; by: string | null }

/** Whether a message may be published to the literal `subject`. */
export function judgePublish({ publish }: Permissions, subject: string): SubjectVerdict {
  const allow = publish.allow.find((pattern) => covers(pattern, subject))
  if (allow === undefined) return { verdict: 'denied', by: null }
  const deny = publish.deny.find((pattern) => covers(pattern, subject))
  return deny === undefined ? { verdict: 'allowed', by: allow } : { verdict: 'denied', by: deny }
}

/** Whether a subscription, which may hold wildcards and name a queue, is accepted. */
export function judgeSubscribe({ subscribe }: Permissions, subscription: SubscribePattern): SubjectVerdict {
  const allow = allowing(subscribe.allow, subscription)
  if (allow === null) return { verdict: 'denied', by: null }
  const deny = subscribe.deny.find((entry) => {
    const { subject, queue } = subscribePattern(entry)
    return admits(subject, subscription.subject) && (queue === null || queueMatches(queue, subscription.queue))
  })
  if (deny !== undefined) return { verdict: 'denied', by: deny }
  if (isLiteral(subscription.subject)) return { verdict: 'allowed', by: allow }
  const filter = subscribe.deny.find((entry) => {
    const { subject, queue } = subscribePattern(entry)
    return overlaps(subject, subscription.subject) && (queue === null || queueMatches(queue, subscription.queue))
  })
  return filter === undefined ? { verdict: 'allowed', by: allow } : { verdict: 'filtered', by: filter }
}

// Once an entry with a queue name fits the subject of a queue subscription, only such entries count for it.
function allowing(entries: readonly string[], { subject, queue }: SubscribePattern): string | null {
  const fitting = entries.filter((entry) => admits(subscribePattern(entry).subject, subject))
  const queued = queue === null ? [] : fitting.filter((entry) => subscribePattern(entry).queue !== null)
  const counting = queued.length > 0 ? queued : fitting.filter((entry) => subscribePattern(entry).queue === null)
  return (
    counting.find((entry) => {
      const name = subscribePattern(entry).queue
      return name === null || queueMatches(name, queue)
    }) ?? null
  )
}

function queueMatches(pattern: string, queue: string | null): boolean {
  return queue !== null && (pattern === queue || covers(pattern, queue))
}
