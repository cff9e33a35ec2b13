/**
 * The admin API: request and reply on `nats-webauthn.admin.<administrator>.<operation>`. nats-server lets each
 * administrator publish under their own name only, so the subject says who asks.
 */
import type { Msg } from 'nats'
import { fromUtf8, utf8 } from '../core/encoding.ts'
import { parseHandle } from '../core/identifiers.ts'
import { AuditUnavailable, StoreUnavailable } from '../core/ports.ts'
import { parseStrictJson } from '../core/strict-json.ts'
import { type AdminWorld, type Call, type Outcome, record, refused } from './admin-call.ts'
import { OPERATIONS } from './admin-operations.ts'
import {
  ADMIN_BODIES,
  ADMIN_ERRORS,
  ADMIN_SUBJECT,
  type AdminErrorCode,
  type AdminOperation,
  isAdminOperation,
  requestBytesMax,
} from './admin-protocol.ts'
import { QUEUE_GROUP } from './auth-callout.ts'
import type { Link } from './connection.ts'

export interface AdminApi {
  /** Takes no more requests, and resolves when those taken are answered. */
  stop(): Promise<void>
}

export interface AdminApiOptions {
  link: Link
  world: AdminWorld
  /** The cause of an `internal` or `unavailable` answer. */
  onFailure(cause: unknown): void
}

const bodyDepthMax = 6
const nothing = { kind: 'none', id: '' } as const
const malformed = { area: 'admin', outcome: 'refused', reason: 'request_malformed' } as const

/** Joins the queue group. Requests are worked on one at a time: administrators are few, and order is plain to see. */
export function serveAdminApi(options: AdminApiOptions): AdminApi {
  const subscription = options.link.nats.subscribe(`${ADMIN_SUBJECT}.*.>`, { queue: QUEUE_GROUP })
  const serve = async () => {
    for await (const message of subscription) await answer(message, options)
  }
  const served = serve()
  return {
    stop: async () => {
      if (!subscription.isClosed()) await subscription.drain()
      await served
    },
  }
}

async function answer(message: Msg, { world, onFailure }: AdminApiOptions): Promise<void> {
  const [admin, ...operation] = message.subject.slice(ADMIN_SUBJECT.length + 1).split('.')
  const call: Call = { admin: admin ?? '', operation: operation.join('.').slice(0, 64), now: new Date(), world }
  const named = parseHandle(call.admin) !== null
  if (!named) call.admin = 'unknown'
  // The reply is published with our permissions: an administrator must not make us write to a bucket or to another's inbox.
  if (!named || !message.reply?.startsWith(`_INBOX_${call.admin}.`)) {
    await record(
      call,
      malformed,
      { target: nothing },
      'The subject names no administrator, or the reply subject is not an inbox of that one.',
    ).catch(onFailure)
    return
  }
  const reply = await carryOut(message.data, call, onFailure)
  try {
    message.respond(utf8(JSON.stringify(reply)))
  } catch (cause) {
    onFailure(cause)
  }
}

async function carryOut(data: Uint8Array, call: Call, onFailure: (cause: unknown) => void): Promise<object> {
  try {
    const outcome = await perform(data, call)
    if (outcome.ok) return outcome.value
    await record(call, outcome.as, outcome.about, ADMIN_ERRORS[outcome.code])
    return failure(outcome.code)
  } catch (cause) {
    onFailure(cause)
    if (cause instanceof AuditUnavailable) return failure('audit_unavailable')
    const code = cause instanceof StoreUnavailable ? 'unavailable' : 'internal'
    await record(call, { area: 'admin', outcome: 'failed', reason: 'internal' }, { target: nothing }, ADMIN_ERRORS[code]).catch(onFailure)
    return failure(code)
  }
}

function failure(code: AdminErrorCode): object {
  return { error: { code, message: ADMIN_ERRORS[code] } }
}

async function perform(data: Uint8Array, call: Call): Promise<Outcome<object>> {
  if (!isAdminOperation(call.operation)) {
    // What was asked for is anybody's text: it is not repeated.
    call.operation = 'unknown'
    return refused('operation_unknown', malformed, { target: nothing })
  }
  if (data.length > requestBytesMax) return refused('request_oversized', malformed, { target: nothing })
  return run(call.operation, data, call)
}

async function run<O extends AdminOperation>(operation: O, data: Uint8Array, call: Call): Promise<Outcome<object>> {
  const text = fromUtf8(data)
  const body = ADMIN_BODIES[operation].safeParse(text === null ? undefined : parseStrictJson(text === '' ? '{}' : text, bodyDepthMax))
  if (!body.success) return refused('request_malformed', malformed, { target: nothing })
  // The schema and the operation stand under one name; that they fit is checked where OPERATIONS is defined.
  const perform = OPERATIONS[operation] as (body: unknown, call: Call) => Promise<Outcome<object>>
  return perform(body.data, call)
}
