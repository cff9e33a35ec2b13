/** HTTP requests with headers that fetch does not let through. */
import { once } from 'node:events'
import { request } from 'node:http'

export interface RawRequest {
  headers?: Record<string, string>
  body?: string
  method?: string
  path?: string
}

/** POST /v1/enrol/begin with a ticket that does not exist, unless told otherwise. */
export async function rawHttp(
  port: number,
  { headers = {}, body = '{"ticket":"x"}', method = 'POST', path = '/v1/enrol/begin' }: RawRequest,
) {
  const sent = request({ host: '127.0.0.1', port, path, method, headers: { 'content-type': 'application/json', ...headers } })
  sent.end(body)
  const [response] = await once(sent, 'response')
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  // `headers` is read like those of fetch.
  return {
    status: response.statusCode as number,
    headers: new Headers(response.headers as Record<string, string>),
    body: JSON.parse(text),
    text,
  }
}
