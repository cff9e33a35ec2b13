/** The query of an identity provider's callback. */
import type { FastifyRequest } from 'fastify'
import { malformed } from './http-refusal.ts'

const queryCharsMax = 4_096

/** The query, each parameter once (RFC 6749 §3.1). It is read, never repeated. */
export function callbackQuery({ raw }: FastifyRequest): URLSearchParams {
  const url = raw.url ?? ''
  const from = url.indexOf('?')
  const text = from === -1 ? '' : url.slice(from + 1)
  if (text.length > queryCharsMax) throw malformed('query', 400)
  const query = new URLSearchParams(text)
  const names = [...query.keys()]
  if (new Set(names).size !== names.length) throw malformed('query', 400)
  return query
}
