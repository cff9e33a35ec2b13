/** The two cookies: whose login it is, and which redirect to an identity provider is under way. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { idpRequestSeconds } from '../core/people/login.ts'
import { loginSeconds } from '../core/people/people.ts'
import { malformed } from './http-refusal.ts'

// 32 random bytes in unpadded base64url.
const VALUE = /^[A-Za-z0-9_-]{43}$/

export interface Cookies {
  /** The value, or null where there is none. Refuses, and takes away, what is not one of ours. */
  login(request: FastifyRequest, reply: FastifyReply): string | null
  idp(request: FastifyRequest, reply: FastifyReply): string | null
  setLogin(reply: FastifyReply, value: string): void
  setIdp(reply: FastifyReply, value: string): void
  clearLogin(reply: FastifyReply): void
  clearIdp(reply: FastifyReply): void
}

interface Cookie {
  name: string
  attributes: { path: '/'; httpOnly: true; secure: boolean; sameSite: 'strict' | 'lax' }
}

/** `origin`: the verifier's own. `__Host-` and `Secure` need HTTPS; without it there is loopback alone. */
export function createCookies(origin: string): Cookies {
  const secure = origin.startsWith('https:')
  const prefix = secure ? '__Host-' : ''
  const cookie = (name: string, sameSite: 'strict' | 'lax'): Cookie => ({
    name: `${prefix}nats-webauthn-${name}`,
    attributes: { path: '/', httpOnly: true, secure, sameSite },
  })
  const login = cookie('login', 'strict')
  // Lax: the browser comes back from the provider's site.
  const idp = cookie('idp', 'lax')
  return {
    login: (request, reply) => read(login, request, reply),
    idp: (request, reply) => read(idp, request, reply),
    setLogin: (reply, value) => set(login, reply, { value, seconds: loginSeconds }),
    setIdp: (reply, value) => set(idp, reply, { value, seconds: idpRequestSeconds }),
    clearLogin: (reply) => clear(login, reply),
    clearIdp: (reply) => clear(idp, reply),
  }
}

function read(cookie: Cookie, request: FastifyRequest, reply: FastifyReply): string | null {
  const values = valuesOf(request.headers.cookie ?? '', cookie.name)
  const [value] = values
  if (value === undefined) return null
  // Two of one name: somebody else set one of them, and which comes first is not ours to guess (RFC 6265 §8.6).
  if (values.length === 1 && VALUE.test(value)) return value
  clear(cookie, reply)
  throw malformed('cookie', 400)
}

/** All values under `name`: the usual parsers keep one of them. */
function valuesOf(header: string, name: string): string[] {
  return header
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair === name || pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1))
}

function set({ name, attributes }: Cookie, reply: FastifyReply, { value, seconds }: { value: string; seconds: number }): void {
  reply.setCookie(name, value, { ...attributes, maxAge: seconds })
}

function clear({ name, attributes }: Cookie, reply: FastifyReply): void {
  reply.clearCookie(name, attributes)
}
