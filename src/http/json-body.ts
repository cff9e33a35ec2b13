/** Request bodies: JSON in UTF-8 that can be read in one way only, and nothing else. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { fromUtf8 } from '../core/encoding.ts'
import { parseStrictJson } from '../core/strict-json.ts'
import { malformed } from './http-refusal.ts'

/** Largest request body. A registration takes about 1 KiB, with the largest key that is accepted 13 KiB. */
export const bodyBytesMax = 32 * 1024
const jsonDepthMax = 8

const JSON_TYPE = /^application\/json(?:\s*;\s*charset=(?:utf-8|"utf-8"))?\s*$/i

/** Makes `app` read strict JSON and refuse every other kind of body. */
export function acceptStrictJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser<Buffer>(
    'application/json',
    { parseAs: 'buffer', bodyLimit: bodyBytesMax },
    async (request: FastifyRequest, body: Buffer) => {
      if (!JSON_TYPE.test(request.headers['content-type'] ?? '')) throw malformed('content_type', 415)
      const text = fromUtf8(body)
      const value = text === null ? undefined : parseStrictJson(text, jsonDepthMax)
      if (value === undefined) throw malformed('json', 400)
      return value
    },
  )
}

/** The body as `schema` has it; unknown members are refused where the schema is strict. */
export function readBody<T>(request: FastifyRequest, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(request.body)
  if (!parsed.success) throw malformed('schema', 400)
  return parsed.data
}
