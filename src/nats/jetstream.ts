/** Requests to JetStream, with one time limit and one kind of failure. Only what the buckets need of its API. */
import type { Msg, MsgHdrs } from 'nats'
import { z } from 'zod'
import { StoreUnavailable } from '../core/ports.ts'
import type { Link } from './connection.ts'

/** How long one read or write of the leader may take. */
const operationMsMax = 1_000
/** How long making a stream or a consumer may take: nobody's verdict waits for it. */
const setupMsMax = 5_000

const errorSchema = z.looseObject({
  error: z.looseObject({ code: z.number(), err_code: z.number().default(0), description: z.string().default('') }),
})

/** What JetStream answered: its reply, or its own refusal by number (`err_code`). */
export type Answer = { ok: true; value: unknown } | { ok: false; code: number; description: string }

/** Asks JetStream for a key's value. Throws StoreUnavailable when there is no answer in time. */
export function askJetStream(link: Link, subject: string, body: Uint8Array | object, headers?: MsgHdrs): Promise<Answer> {
  return ask(link, { subject, body, headers, msMax: operationMsMax })
}

/** Asks JetStream about a stream or a consumer. Throws StoreUnavailable when there is no answer in time. */
export function askForSetup(link: Link, subject: string, body: object): Promise<Answer> {
  return ask(link, { subject, body, headers: undefined, msMax: setupMsMax })
}

async function ask(
  link: Link,
  { subject, body, headers, msMax }: { subject: string; body: Uint8Array | object; headers: MsgHdrs | undefined; msMax: number },
): Promise<Answer> {
  const payload = body instanceof Uint8Array ? body : JSON.stringify(body)
  let message: Msg
  try {
    message = await link.ask({ subject, body: payload, headers: headers ?? null, msMax })
  } catch (cause) {
    throw new StoreUnavailable(`asking ${subject}`, { cause })
  }
  return readAnswer(message, subject)
}

/** What JetStream answered to whoever asked `about` something. Throws StoreUnavailable when it is no answer of JetStream's. */
export function readAnswer(message: Msg, about: string): Answer {
  let value: unknown
  try {
    value = message.json()
  } catch (cause) {
    throw new StoreUnavailable(`asking ${about}`, { cause })
  }
  // Every write is answered, and hardly ever with an error.
  if (typeof value === 'object' && value !== null && !('error' in value)) return { ok: true, value }
  const answer = errorSchema.safeParse(value)
  if (!answer.success) throw new StoreUnavailable(`asking ${about}`, { cause: answer.error })
  return { ok: false, code: answer.data.error.err_code, description: answer.data.error.description }
}
