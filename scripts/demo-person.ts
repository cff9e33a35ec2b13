/**
 * A person for the demo: what the page asks of the verifier, one request after the other, with a passkey in software where
 * a browser would ask for a tap.
 */
import { type Passkey, softwarePasskey } from '../test/support/passkey.ts'

export interface DemoPerson {
  /** Signs in at the identity provider; `authenticate` is what happens there: from its address to the way back. */
  signIn(provider: string, authenticate: (url: string) => Promise<URL>): Promise<void>
  /** Enrols this "device" and proves at once that it works. The roles that it gives. */
  enrolDevice(name: string): Promise<string[]>
  /** Looks at what a terminal asks for, taps, and goes where the browser is sent. */
  approve(url: string): Promise<{ host: string; code: string; roles: string[] }>
}

interface Answer {
  ceremony: string
  options: Parameters<Passkey['create']>[0] & Parameters<Passkey['get']>[0]
  url: string
  callback: string
  device: { roles: { name: string; unmet: string[] }[] }
  session: { host: string; code: string; roles: string[] }
}

/** Somebody at the page of `origin`. */
export function demoPerson(origin: string): DemoPerson {
  const passkey = softwarePasskey({ origin })
  const cookies = new Map<string, string>()
  const cookieHeader = () => [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  const keepCookies = (response: Response): void => {
    for (const line of response.headers.getSetCookie()) {
      const [name = '', value = ''] = (line.split(';')[0] ?? '').split('=')
      cookies.set(name, value)
    }
  }
  async function ask(path: string, body: object = {}): Promise<Answer> {
    const headers = { 'content-type': 'application/json', origin, cookie: cookieHeader() }
    const response = await fetch(`${origin}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    keepCookies(response)
    const answer = (await response.json()) as Answer & { error?: { code: string } }
    if (!response.ok) throw new Error(`${path}: ${answer.error?.code}`)
    return answer
  }
  return {
    async signIn(provider, authenticate) {
      const back = await authenticate((await ask('/v1/login/idp', { provider })).url)
      keepCookies(await fetch(back, { headers: { cookie: cookieHeader() }, redirect: 'manual' }))
      await ask('/v1/me')
    },
    async enrolDevice(name) {
      const begun = await ask('/v1/devices/begin')
      const response = passkey.create(begun.options)
      const registered = await ask('/v1/devices/register', { ceremony: begun.ceremony, name, response })
      const assertion = passkey.get(registered.options)
      const { device } = await ask('/v1/devices/activate', { ceremony: registered.ceremony, response: assertion })
      return device.roles.filter(({ unmet }) => unmet.length === 0).map((role) => role.name)
    },
    async approve(url) {
      const request = new URL(url).hash.replace('#session=', '')
      const { session } = await ask('/v1/session/show', { request })
      const { options } = await ask('/v1/session/options', { request })
      const { callback } = await ask('/v1/session/endorse', { request, response: passkey.get(options) })
      await (await fetch(callback)).text()
      return session
    },
  }
}
