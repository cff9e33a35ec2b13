/** The administrator's side of the admin API: one request, one answer. */
import { ErrorCode, NatsError } from 'nats'
import { z } from 'zod'
import { utf8 } from '../core/encoding.ts'
import {
  ADMIN_ERRORS,
  ADMIN_SUBJECT,
  type AdminAnswers,
  type AdminOperation,
  type AdminReply,
  type AdminRequest,
  isAdminErrorCode,
} from './admin-protocol.ts'
import type { Link } from './connection.ts'

/** Longer than any operation: revoking may have many connections to close. */
const answerMsMax = 30_000

const errorSchema = z.strictObject({ error: z.looseObject({ code: z.string(), message: z.string() }) })

/**
 * Asks as administrator `admin`; nats-server lets only that administrator's nkey publish there. The connection's inbox
 * prefix must be `_INBOX_<admin>`. Throws when no verifier answers.
 */
export async function adminRequest<O extends AdminOperation>(
  link: Link,
  admin: string,
  operation: O,
  body: AdminRequest<O>,
): Promise<AdminReply<O>> {
  let answer: unknown
  try {
    const message = await link.nats.request(`${ADMIN_SUBJECT}.${admin}.${operation}`, utf8(JSON.stringify(body)), { timeout: answerMsMax })
    answer = message.json()
  } catch (cause) {
    throw new Error(`asking a verifier for ${operation}${isNobodyThere(cause) ? ': none is running, or none is ready' : ''}`, { cause })
  }
  const failed = errorSchema.safeParse(answer)
  if (failed.success) {
    // A newer verifier may have errors that we do not know.
    const code = isAdminErrorCode(failed.data.error.code) ? failed.data.error.code : 'internal'
    return { ok: false, error: { code, message: ADMIN_ERRORS[code] } }
  }
  return { ok: true, value: answer as AdminAnswers[O] }
}

/** Whether nats-server knew of nobody who would answer: verifiers that are not ready take no requests. */
function isNobodyThere(error: unknown): boolean {
  return error instanceof NatsError && error.code === ErrorCode.NoResponders
}
