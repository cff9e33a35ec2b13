/** The audit trail's two streams: audit writes to them, and metrics count what becomes of the records. */

/** The names of the streams. Who may cause records decides which is whose (docs/audit.md). */
export const AUDIT_STREAMS = { audit: 'WEBAUTHN_AUDIT', denials: 'WEBAUTHN_DENIALS' } as const
export type AuditStreamName = (typeof AUDIT_STREAMS)[keyof typeof AUDIT_STREAMS]

/** How one attempt to publish a record ended. `duplicate`: an earlier attempt had arrived after all. */
export const PUBLISH_OUTCOMES = ['stored', 'duplicate', 'failed'] as const
export type PublishOutcome = (typeof PUBLISH_OUTCOMES)[number]
