/**
 * The two streams of the audit trail. They are created if absent and compared if present; nothing here can weaken one,
 * and no user of the account may update, purge or delete it.
 */
import { DiscardPolicy, type JetStreamManager, type NatsConnection, NatsError, RetentionPolicy, StorageType, type StreamConfig } from 'nats'
import { AUDIT_STREAMS, type AuditStreamName } from '../core/audit-streams.ts'

/** Areas of each stream: the token after `audit.webauthn.`. */
export const STREAM_AREAS = {
  [AUDIT_STREAMS.audit]: ['connection', 'credential', 'session', 'identity', 'enrolment', 'login', 'policy', 'admin', 'verifier'],
  [AUDIT_STREAMS.denials]: ['request'],
} as const satisfies Record<AuditStreamName, readonly string[]>

export interface AuditStreamOptions {
  replicas: number
  /** Room of each stream: a full one refuses records, and while WEBAUTHN_AUDIT is full nothing is granted. */
  maxBytes: Readonly<Record<AuditStreamName, number>>
  maxAgeDays: number
}

/** A setting of a live stream that keeps records less safe than wanted. */
export interface StreamWeakness {
  stream: AuditStreamName
  setting: string
  wanted: string
  live: string
}

export const recordBytesMax = 64 * 1024
const nanosecondsPerSecond = 1_000_000_000
const duplicateWindowSeconds = 600

// Members that nats-server has gained since this client library was written.
type LiveConfig = StreamConfig & { allow_msg_ttl?: boolean; persist_mode?: string; allow_msg_counter?: boolean }

/** Creates what is missing and compares what is there. Throws when the streams cannot be reached. */
export async function ensureStreams(connection: NatsConnection, options: AuditStreamOptions): Promise<StreamWeakness[]> {
  return overStreams(connection, options, async (manager, wanted) => (await find(manager, wanted.name)) ?? create(manager, wanted))
}

/** Compares and creates nothing: a stream that is not there is a weakness. */
export async function inspectStreams(connection: NatsConnection, options: AuditStreamOptions): Promise<StreamWeakness[]> {
  return overStreams(connection, options, (manager, wanted) => find(manager, wanted.name))
}

async function overStreams(
  connection: NatsConnection,
  options: AuditStreamOptions,
  look: (manager: JetStreamManager, wanted: WantedStream) => Promise<LiveConfig | null>,
): Promise<StreamWeakness[]> {
  const weaknesses: StreamWeakness[] = []
  try {
    const manager = await connection.jetstreamManager({ checkAPI: false })
    for (const wanted of wantedStreams(options)) {
      const live = await look(manager, wanted)
      weaknesses.push(
        ...(live === null ? [{ stream: wanted.name, setting: 'stream', wanted: 'present', live: 'absent' }] : compare(wanted, live)),
      )
    }
  } catch (cause) {
    throw new Error('preparing the audit streams', { cause })
  }
  return weaknesses
}

interface WantedStream extends Partial<LiveConfig> {
  name: AuditStreamName
  subjects: string[]
  max_age: number
  max_bytes: number
  max_msg_size: number
  duplicate_window: number
  num_replicas: number
}

/** The configuration that a new stream gets. */
export function wantedStreams(options: AuditStreamOptions): WantedStream[] {
  return Object.values(AUDIT_STREAMS).map((name) => ({
    name,
    description: 'Audit trail of nats-webauthn',
    subjects: STREAM_AREAS[name].map((area) => `audit.webauthn.${area}.>`),
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    // A full stream must be seen, not silently eaten from its tail.
    discard: DiscardPolicy.New,
    deny_delete: true,
    deny_purge: true,
    allow_rollup_hdrs: false,
    max_age: options.maxAgeDays * 86_400 * nanosecondsPerSecond,
    max_bytes: options.maxBytes[name],
    max_msg_size: recordBytesMax,
    duplicate_window: duplicateWindowSeconds * nanosecondsPerSecond,
    num_replicas: options.replicas,
  }))
}

async function find(manager: JetStreamManager, name: AuditStreamName): Promise<LiveConfig | null> {
  try {
    return (await manager.streams.info(name)).config
  } catch (cause) {
    if (cause instanceof NatsError && cause.api_error?.code === 404) return null
    throw cause
  }
}

async function create(manager: JetStreamManager, wanted: WantedStream): Promise<LiveConfig> {
  try {
    return (await manager.streams.add(wanted)).config
  } catch (cause) {
    // Another verifier, with other settings, was quicker: its stream is compared like any other.
    const live = await find(manager, wanted.name)
    if (live === null) throw cause
    return live
  }
}

/** Every setting of `live` that is weaker than `wanted`. Stronger ones pass. */
export function compare(wanted: WantedStream, live: LiveConfig): StreamWeakness[] {
  const found: StreamWeakness[] = []
  const weak = (setting: string, want: unknown, have: unknown) =>
    found.push({ stream: wanted.name, setting, wanted: JSON.stringify(want) ?? 'none', live: JSON.stringify(have) ?? 'none' })
  const exactly = (setting: keyof LiveConfig, want: unknown) => {
    if ((live[setting] ?? want) !== want) weak(setting, want, live[setting])
  }
  // nats-server writes "unlimited" as -1 or 0.
  const atLeast = (setting: 'max_age' | 'max_bytes' | 'max_msg_size' | 'duplicate_window' | 'num_replicas', want: number) => {
    const have = live[setting] ?? 0
    const unlimited = have <= 0 && setting !== 'duplicate_window'
    if (!unlimited && have < want) weak(setting, want, have)
  }
  const subjects = new Set(live.subjects ?? [])
  if (!wanted.subjects.every((subject) => subjects.has(subject)) || subjects.size !== wanted.subjects.length) {
    weak('subjects', wanted.subjects, live.subjects)
  }
  exactly('storage', StorageType.File)
  exactly('retention', RetentionPolicy.Limits)
  exactly('discard', DiscardPolicy.New)
  if (live.deny_delete !== true) weak('deny_delete', true, live.deny_delete)
  if (live.deny_purge !== true) weak('deny_purge', true, live.deny_purge)
  exactly('allow_rollup_hdrs', false)
  exactly('allow_msg_ttl', false)
  exactly('allow_msg_counter', false)
  exactly('persist_mode', 'default')
  exactly('no_ack', false)
  exactly('sealed', false)
  exactly('max_msgs', -1)
  exactly('max_msgs_per_subject', -1)
  for (const setting of ['mirror', 'sources', 'subject_transform'] as const) {
    if (live[setting] !== undefined) weak(setting, undefined, live[setting])
  }
  for (const setting of ['max_age', 'max_bytes', 'max_msg_size', 'duplicate_window', 'num_replicas'] as const)
    atLeast(setting, wanted[setting])
  return found
}
