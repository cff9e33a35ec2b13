/** The verifier's records about itself: its start and end, its readiness, its policy. */
import { randomUUID } from 'node:crypto'
import type { StreamWeakness } from './audit/stream.ts'
import type { LifecycleCode, LifecycleEvent } from './core/audit-event.ts'
import type { LifecyclePort } from './core/ports.ts'
import type { BucketDifference } from './nats/kv-bucket.ts'
import type { PolicyRefusal } from './policy/policy-file.ts'
import { VERSION } from './version.ts'

type OwnCode = Extract<LifecycleCode, { area: 'verifier' | 'policy' }>

/** Records that the verifier itself makes. Each throws AuditUnavailable. */
export interface VerifierRecords {
  /** `policy`: hash of the policy that the record is about, where that is not the one in force. */
  record(code: OwnCode, detail: string, facts?: LifecycleEvent['facts'], policy?: string): Promise<void>
  policyRefused(refusal: PolicyRefusal): Promise<void>
}

/** `policyHash`: of the policy in force. */
export function verifierRecords(options: { lifecycle: LifecyclePort; name: string; policyHash(): string }): VerifierRecords {
  const { lifecycle, name, policyHash } = options
  const record = (code: OwnCode, detail: string, facts: LifecycleEvent['facts'] = {}, policy = policyHash()) =>
    lifecycle.record({
      ...code,
      id: randomUUID(),
      at: Date.now(),
      actor: { kind: 'verifier', name },
      target: code.area === 'policy' ? { kind: 'policy', id: policy } : { kind: 'none', id: '' },
      handle: null,
      roles: [],
      policyHash: policy,
      detail,
      facts,
    })
  return {
    record,
    policyRefused: (refusal) =>
      refusal.kind === 'invalid'
        ? record({ area: 'policy', outcome: 'refused', reason: 'invalid' }, 'The policy file has mistakes; the policy in force stays.', {
            mistakes: refusal.issues.length,
            line: refusal.issues[0]?.line ?? 0,
          })
        : record(
            { area: 'policy', outcome: 'failed', reason: 'unreadable' },
            'The policy file could not be taken over; the policy in force stays.',
          ),
  }
}

/** That the verifier has begun, with which policy, and what is weaker than it should be. */
export async function recordStart(
  records: VerifierRecords,
  { differences, weaknesses }: { differences: readonly BucketDifference[]; weaknesses: readonly StreamWeakness[] },
): Promise<void> {
  await records.record({ area: 'verifier', outcome: 'succeeded', reason: 'started' }, 'The verifier started.', {
    version: VERSION,
    node: process.version,
  })
  await records.record({ area: 'policy', outcome: 'succeeded', reason: 'loaded' }, 'The policy was loaded at the start.')
  for (const { stream, setting, wanted, live } of weaknesses) {
    await records.record(
      { area: 'verifier', outcome: 'failed', reason: 'stream_weaker' },
      'An audit stream keeps records less safe than wanted.',
      { stream, setting, wanted, live },
    )
  }
  for (const { bucket, setting, wanted, live } of differences) {
    await records.record({ area: 'verifier', outcome: 'failed', reason: 'store_weaker' }, 'A bucket is not as wanted.', {
      bucket,
      setting,
      wanted,
      live,
    })
  }
}

/** `policy.yaml:12: message`, one line a mistake. */
export function refusalLines(path: string, refusal: PolicyRefusal): string[] {
  if (refusal.kind === 'unreadable') return [`${path}: ${refusal.error.message}`]
  return refusal.issues.map(({ line, path: where, message }) => `${path}:${line}: ${where === '' ? '' : `${where}: `}${message}`)
}
