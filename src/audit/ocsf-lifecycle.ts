/** Everything that is neither a verdict nor a login, as OCSF 1.8.0 Entity Management events (class 3004). */
import type { LIFECYCLE, LifecycleArea, LifecycleEvent } from '../core/audit-event.ts'
import { safeText } from '../core/safe-text.ts'
import { detailCharsMax, factsMax, metadata, type RecordOrigin, safeList, targetCharsMax, textCharsMax } from './ocsf-common.ts'

/** OCSF 3004 activity_id by name. */
const ACTIVITIES = {
  Create: 1,
  Read: 2,
  Update: 3,
  Delete: 4,
  Enroll: 6,
  Unenroll: 7,
  Enable: 8,
  Disable: 9,
  Activate: 10,
  Deactivate: 11,
  Suspend: 12,
  Resume: 13,
  Other: 99,
} as const
type Activity = keyof typeof ACTIVITIES

/** Areas whose records are of this class; `login` has one of its own (ocsf-login.ts). */
type ManagedArea = Exclude<LifecycleArea, 'login'>
export type ManagedEvent = Extract<LifecycleEvent, { area: ManagedArea }>

type Reasons<A extends LifecycleArea> = (typeof LIFECYCLE)[A][keyof (typeof LIFECYCLE)[A]] extends readonly (infer R extends string)[]
  ? R
  : never

// What was done: an area's `usual` activity, which is also what was attempted in vain, and successes that are another.
const BY_CODE: { readonly [A in ManagedArea]: { usual: Activity } & { readonly [R in Reasons<A>]?: Activity } } = {
  enrolment: { usual: 'Enroll', invited: 'Create', ticket_revoked: 'Delete' },
  credential: { usual: 'Update', revoked: 'Unenroll', quarantined: 'Suspend', released: 'Resume', approved: 'Enable' },
  session: { usual: 'Update', endorsed: 'Create', completed: 'Activate', revoked: 'Delete' },
  identity: { usual: 'Update', created: 'Create', disabled: 'Disable', enabled: 'Enable' },
  policy: { usual: 'Update' },
  admin: { usual: 'Other', read: 'Read' },
  connection: { usual: 'Other' },
  verifier: {
    usual: 'Other',
    started: 'Activate',
    stopped: 'Deactivate',
    ready: 'Enable',
    not_ready: 'Disable',
    backed_up: 'Read',
    restored: 'Update',
  },
}

/** One record of one event. */
export function lifecycleRecord(event: ManagedEvent, code: string, origin: RecordOrigin) {
  const activity = activityOf(event)
  return {
    activity_id: ACTIVITIES[activity],
    activity_name: activity,
    category_uid: 3,
    category_name: 'Identity & Access Management',
    class_uid: 3004,
    class_name: 'Entity Management',
    type_uid: 300400 + ACTIVITIES[activity],
    type_name: `Entity Management: ${activity}`,
    time: event.at,
    metadata: metadata(origin, { id: event.id, code, correlates: null }),
    ...lifecycleSeverity(event),
    ...lifecycleStatus(event),
    actor: actorOf(event),
    entity: {
      uid: safeText(event.target.id, targetCharsMax) || 'none',
      type: event.target.kind,
      ...(event.handle === null ? {} : { name: event.handle }),
    },
    unmapped: {
      policy_hash: event.policyHash,
      roles: safeList(event.roles),
      facts: factsOf(event),
    },
  }
}

function activityOf(event: ManagedEvent): Activity {
  const byReason: { usual: Activity } & Partial<Record<string, Activity>> = BY_CODE[event.area]
  return (event.outcome === 'succeeded' ? byReason[event.reason] : undefined) ?? byReason.usual
}

/** Whether it was done, and why not. */
export function lifecycleStatus({ outcome, reason, detail }: LifecycleEvent) {
  const succeeded = outcome === 'succeeded'
  return {
    status_id: succeeded ? 1 : 2,
    status: succeeded ? 'Success' : 'Failure',
    status_code: reason,
    status_detail: safeText(detail, detailCharsMax),
  }
}

/** How bad it is, where no area says otherwise. */
export function lifecycleSeverity(event: LifecycleEvent): { severity_id: number; severity: string } {
  // A shut-out key and a verifier that stopped answering succeed as actions and still need somebody to look; so does a way in without the verifier.
  if (event.reason === 'quarantined' || event.reason === 'break_glass') return { severity_id: 4, severity: 'High' }
  if (event.reason === 'not_ready' || event.reason === 'report_only') return { severity_id: 3, severity: 'Medium' }
  switch (event.outcome) {
    case 'succeeded':
      return { severity_id: 1, severity: 'Informational' }
    case 'refused':
      return { severity_id: 3, severity: 'Medium' }
    case 'failed':
      return { severity_id: 5, severity: 'Critical' }
  }
}

/** Who did it. */
export function actorOf({ actor }: LifecycleEvent) {
  const name = safeText(actor.name, textCharsMax)
  switch (actor.kind) {
    case 'verifier':
      return { app_name: 'nats-webauthn', app_uid: name }
    case 'administrator':
      return { user: { name, type_id: 2, type: 'Admin' } }
    case 'identity':
      return { user: { name, type_id: 0, type: 'Unknown' } }
    case 'ticket':
      return { user: { uid: `ticket:${name}`, type_id: 99, type: 'Ticket' } }
    case 'unknown':
      return { user: { uid: 'unknown', type_id: 0, type: 'Unknown' } }
  }
}

/** The facts, escaped and cut. Who allowed a step comes first: nothing that follows can push it out. */
export function factsOf(event: LifecycleEvent): Record<string, string | number | boolean> {
  const { allowedBy, ...others } = event.facts
  const entries = Object.entries({ ...(allowedBy === undefined ? {} : { allowedBy }), ...others }).slice(0, factsMax)
  return Object.fromEntries(
    entries.map(([name, value]) => [safeText(name, 64), typeof value === 'string' ? safeText(value, textCharsMax) : value]),
  )
}
