/** What the test page runs: the SDK on stock nats-core, driven from the test by `window.harness`. Bundled by ../sdk-page.ts. */
import { type NatsConnection, nkeyAuthenticator, wsconnect } from '@nats-io/nats-core'
import { connectWithPasskey, PasskeyError, type PasskeyRequest, type TapReason } from '../../../src/browser/index.ts'

export interface Outcome {
  ok: boolean
  /** Code of the PasskeyError, '' when it was none. */
  code: string
  message: string
}

/** How the page answers `onTapNeeded`: at once, on a click of the button, never, or by declining. */
export type TapPolicy = 'at once' | 'on click' | 'decline' | 'nobody to ask'

const connections = new Map<string, NatsConnection>()
const outcome = (error: unknown): Outcome => ({
  ok: error === undefined || error === null,
  code: error instanceof PasskeyError ? error.code : '',
  message: error instanceof Error ? `${error.name}: ${error.message}` : '',
})

const harness = {
  taps: 0,
  /** Ends what is being connected. */
  stop: new AbortController(),
  /** Reasons of onTapNeeded, in order. */
  asked: [] as TapReason[],
  /** `name:type` of each status event, and each message as `name:subject:text`. */
  events: [] as string[],
  closings: {} as Record<string, Outcome>,

  async connect(name: string, request: PasskeyRequest, policy: TapPolicy = 'at once'): Promise<Outcome> {
    const onTapNeeded = async ({ reason }: { reason: TapReason }) => {
      harness.asked.push(reason)
      if (policy === 'decline') throw new Error('no, thanks')
      if (policy === 'on click') await new Promise((ready) => document.body.addEventListener('click', ready, { once: true }))
    }
    try {
      const nc = await connectWithPasskey({
        ...request,
        signal: harness.stop.signal,
        ...(policy === 'nobody to ask' ? {} : { onTapNeeded }),
      })
      connections.set(name, nc)
      void watch(name, nc)
      void nc.closed().then((error) => {
        harness.closings[name] = outcome(error)
      })
      return outcome(undefined)
    } catch (error) {
      return outcome(error)
    }
  },
  /** Stock nats-core with the seed of a session's nkey, and nothing of ours. */
  async connectStock(name: string, url: string, seed: string): Promise<Outcome> {
    try {
      connections.set(name, await wsconnect({ servers: url, authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)) }))
      return outcome(undefined)
    } catch (error) {
      return outcome(error)
    }
  },
  subscribe(name: string, subject: string): Promise<void> {
    get(name).subscribe(subject, {
      callback: (error, message) => {
        harness.events.push(error ? `${name}:refused:${subject}` : `${name}:${message.subject}:${message.string()}`)
      },
    })
    return get(name).flush()
  },
  publish(name: string, subject: string, text: string): Promise<void> {
    get(name).publish(subject, text)
    return get(name).flush()
  },
  async request(name: string, subject: string): Promise<string> {
    return (await get(name).request(subject, '', { timeout: 5_000 })).string()
  },
  answer(name: string, subject: string, text: string): Promise<void> {
    get(name).subscribe(subject, { callback: (_error, message) => void message.respond(text) })
    return get(name).flush()
  },
  reconnect: (name: string): Promise<void> => get(name).reconnect(),
  exchangeServers: (name: string, url: string): void => get(name).setServers([url]),
  close: (name: string): Promise<void> => get(name).close(),
}

function get(name: string): NatsConnection {
  const found = connections.get(name)
  if (found === undefined) throw new Error('looking for a connection')
  return found
}

async function watch(name: string, nc: NatsConnection): Promise<void> {
  for await (const status of nc.status()) {
    const text = status.type === 'error' ? `error:${status.error.message}` : status.type
    harness.events.push(`${name}:${text}`)
  }
}

const ask = navigator.credentials.get.bind(navigator.credentials)
navigator.credentials.get = (options) => {
  harness.taps++
  return ask(options)
}

export type Harness = typeof harness
declare global {
  interface Window {
    harness: Harness
  }
}
window.harness = harness
