/**
 * Mutated requests to every route of people and machines. The oracle: nothing is answered as a failure of ours, and a login,
 * a device or a session begins only by a body whose secrets and signed parts are those of the genuine one.
 */

import { mutateBytes } from './byte-mutations.ts'
import { type FuzzArea, FuzzFailure, shown } from './fuzz-area.ts'
import { type HttpScene, httpScene, type SceneRequest } from './fuzz-http-scene.ts'
import { mutateJson } from './json-mutations.ts'
import type { Random } from './random.ts'

// Bodies use up what they are for, so the scene is set anew now and then, and whenever something began or ended in it.
const casesPerScene = 60

export function httpArea(): FuzzArea {
  let scene: HttpScene | null = null
  let left = 0
  return {
    name: 'http',
    share: 0.03,
    async one(random) {
      if (scene === null || left-- === 0) {
        await scene?.app.close()
        scene = await httpScene()
        left = casesPerScene
      }
      const before = inForce(scene)
      const base = random.pick(scene.genuine)
      const request = bent(base, random.pick(scene.genuine), random)
      const { statusCode, headers } = await scene.app.inject({
        method: request.method,
        url: request.url,
        headers: request.headers,
        ...(request.payload === null ? {} : { payload: request.payload }),
      })
      const failed = `${base.path} ${shown(request.url)} ${shown(JSON.stringify(request.headers))} ${shown(request.payload ?? '')}`
      if (statusCode >= 500) throw new FuzzFailure(`answered ${statusCode}: ${failed}`, { cause: scene.errors[0] })
      if (scene.errors.length > 0) throw new FuzzFailure(`logged a failure: ${failed}`, { cause: scene.errors[0] })
      const after = inForce(scene)
      if (after.join() !== before.join()) left = 0
      const began = after.some((id) => !before.includes(id))
      if (began && !isGenuine(scene, request)) throw new FuzzFailure(`something began: ${failed}`)
      return began
        ? 'begun'
        : headers.location === undefined
          ? String(statusCode)
          : `${statusCode} ${String(headers.location).replace(/[?#].*$/, '')}`
    },
    async close() {
      await scene?.app.close()
    },
  }
}

interface Bent {
  method: 'GET' | 'POST'
  path: string
  url: string
  headers: Record<string, string>
  payload: string | Buffer | null
}

/** The request with its body, its query or its headers changed. */
function bent(base: SceneRequest, other: SceneRequest, random: Random): Bent {
  const { method, path } = base
  const headers = random.once(8) ? bentHeaders(base.headers, other.headers, random) : base.headers
  if (method === 'GET') return { method, path, url: `${path}?${bentQuery(base.body, other.body, random)}`, headers, payload: null }
  const way = random.below(12)
  const json = JSON.stringify(base.body)
  const payload =
    way === 0
      ? Buffer.from(mutateBytes(Buffer.from(json), random, { donor: Buffer.from(JSON.stringify(other.body)) }))
      : way === 1
        ? JSON.stringify(other.body)
        : mutateJson(base.body, random, other.body)
  return { method, path, url: random.once(40) ? `${path}?a=%00&__proto__[x]=1` : path, headers, payload }
}

function bentQuery(body: unknown, other: unknown, random: Random): string {
  const query = new URLSearchParams(body as Record<string, string>)
  const names = ['code', 'state', 'error', 'iss', 'id_token', 'response', '__proto__', '']
  for (let left = random.below(4); left > 0; left--) {
    const name = random.pick(names)
    const value = random.pick([
      '',
      'x',
      ...Object.values(other as object).map(String),
      Buffer.from(random.bytes(8)).toString('latin1'),
      'a'.repeat(5_000),
    ])
    if (random.once(3)) query.delete(name)
    else if (random.once(2)) query.append(name, value)
    else query.set(name, value)
  }
  const text = query.toString()
  return random.once(4) ? encodeURI(Buffer.from(mutateBytes(Buffer.from(text), random)).toString('latin1')) : text
}

const HEADER_VALUES: Record<string, readonly string[]> = {
  'content-type': [
    'text/plain',
    'application/json; charset=utf-16',
    'application/json;charset="utf-8"',
    'multipart/form-data; boundary=a',
    'application/json, text/plain',
    '',
  ],
  origin: ['null', 'https://evil.example', 'https://nats.example.com.', 'http://nats.example.com', ''],
  host: ['evil.example', 'nats.example.com:443', 'NATS.example.com', '', 'nats.example.com.'],
  'sec-fetch-site': ['cross-site', 'same-site', 'none', 'odd'],
  'content-length': ['0', '1', '999999'],
  'content-encoding': ['gzip', 'identity'],
  'transfer-encoding': ['chunked'],
  'x-forwarded-for': ['127.0.0.1', '::1, 10.0.0.1'],
  'x-http-method-override': ['GET'],
}

/** One header missing, another's, or with an odd value. */
function bentHeaders(headers: Record<string, string>, others: Record<string, string>, random: Random): Record<string, string> {
  const way = random.below(4)
  if (way === 0) {
    const gone = random.pick(Object.keys(headers))
    return Object.fromEntries(Object.entries(headers).filter(([name]) => name !== gone))
  }
  if (way === 1) return { ...headers, ...others }
  if (way === 2) {
    const bytes = mutateBytes(Buffer.from(headers['cookie'] ?? '__Host-nats-webauthn-login='), random)
    // No parser of HTTP lets control characters through.
    return {
      ...headers,
      cookie: Buffer.from(bytes)
        .toString('latin1')
        .replaceAll(/[^\x20-\x7e]/g, '?'),
    }
  }
  const name = random.pick(Object.keys(HEADER_VALUES))
  return { ...headers, [name]: random.pick(HEADER_VALUES[name] as readonly string[]) }
}

/** What is in force: logins, devices, sessions. */
function inForce({ world }: HttpScene): string[] {
  const records = [world.logins, world.credentials, world.sessions.records].flatMap((bucket) => [...bucket.all()])
  return records.flatMap(([key, { record }]) => (record.state === 'active' ? [key] : []))
}

// What a client must know, or have signed. A name, or what a browser adds to a response, is nobody's proof.
const SIGNED = [
  'ticket',
  'ceremony',
  'request',
  'signature',
  'code',
  'response.id',
  ...['clientDataJSON', 'authenticatorData', 'signature'].map((name) => `response.response.${name}`),
]

/** Whether the body says what a genuine one of its route says, in everything that is secret or signed. */
function isGenuine({ genuine }: HttpScene, { method, path, url, payload }: Bent): boolean {
  const sent: unknown = method === 'GET' ? Object.fromEntries(new URL(url, 'http://host').searchParams) : JSON.parse(String(payload))
  // TestIdp takes any code that comes with the right state.
  const telling = method === 'GET' ? ['state'] : SIGNED
  return genuine.some((one) => one.path === path && telling.every((name) => at(one.body, name) === at(sent, name)))
}

function at(value: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>(
      (inner, name) => (typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>)[name] : undefined),
      value,
    )
}
