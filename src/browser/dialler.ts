/** The dials of one connection, one after the other: whom, with what, and what each outcome means for the next. */
import { createReconnectPace, createRedial, type ReconnectPace, type Redial } from '../core/reconnect-pace.ts'
import { canonicalServerUrl, type ServerUrl } from '../core/server-address.ts'
import { type Attempts, createAttempts, type TapReason } from './attempts.ts'
import type { CeremonyOptions } from './ceremony.ts'
import { type Credentials, prove, resume } from './credentials.ts'
import { HeldSocket, type OpenSocket } from './held-socket.ts'
import { PasskeyError } from './passkey-error.ts'
import type { SessionKey } from './session-key.ts'
import { inTurn } from './turns.ts'

/** Tells the page that a tap is needed; resolves when its person is ready, rejects when there will be none. */
export type OnTapNeeded = (need: { reason: TapReason }) => void | Promise<void>

export interface DiallerOptions {
  urls: readonly ServerUrl[]
  ceremony: CeremonyOptions
  /** Whether a tap endorses a session key, so that reconnects cost no tap. */
  session: boolean
  /** Null: nobody may be asked. */
  onTapNeeded: OnTapNeeded | null
  open: OpenSocket
}

export class Dialler {
  readonly #options: DiallerOptions
  readonly #attempts: Attempts<SessionKey>
  readonly #redial: Redial
  /** Who else is out there; told by whoever follows the connection. */
  readonly pace: ReconnectPace = createReconnectPace()
  #dials = 0
  #current: HeldSocket | null = null
  #prepared: { nonce: string; credentials: Credentials } | null = null
  #asking: Promise<void> | null = null
  #failure: PasskeyError | null = null
  #stopped: PasskeyError | null = null

  constructor(options: DiallerOptions) {
    this.#options = options
    this.#attempts = createAttempts({ mayAsk: options.onTapNeeded !== null, pace: this.pace })
    this.#redial = createRedial(this.pace, {
      // Each of several servers is tried before anybody waits longer.
      failures: () => Math.ceil(this.#attempts.failures() / options.urls.length),
      now: () => performance.now(),
      random: Math.random,
    })
  }

  /** Why the last dial failed. */
  get failure(): PasskeyError | null {
    return this.#stopped ?? this.#failure
  }

  /** A socket that dials by itself. `source` is the address that nats-core believes in. */
  open(source: string): { socket: HeldSocket; encrypted: boolean } {
    const { urls, open } = this.#options
    const url = urls[this.#dials % urls.length] as ServerUrl
    const held = new HeldSocket(open)
    this.#current = held
    this.#prepared = null
    // nats-core lets a program exchange the servers of a live connection. What it believes in must stay what is signed.
    if (canonicalServerUrl(source) !== urls[0]) {
      this.#attempts.end(new PasskeyError('url_refused', 'dialling: the servers were exchanged'))
    }
    // In a task of its own: nats-core sets its handlers after it was given the socket.
    setTimeout(() => void this.#run(held, url).catch((cause: unknown) => this.#failed(held, cause)), 0)
    return { socket: held, encrypted: url.startsWith('wss:') }
  }

  /** The credentials prepared for this nonce. Throws what ended the connection. */
  authenticate(nonce: string | undefined): Credentials {
    this.#redial.answered()
    const made = this.#prepared
    this.#prepared = null
    if (made !== null && made.nonce === nonce) return made.credentials
    throw this.failure ?? new PasskeyError('nonce_refused', 'signing: not the nonce that was held')
  }

  /** Milliseconds from the last dial to the next, as nats-core counts. */
  pauseMilliseconds(): number {
    if (this.#attempts.isPauseless()) this.#redial.begin()
    return this.#redial.delayMs()
  }

  /** Ends every dial, and forgets the session key. */
  end(error: PasskeyError): void {
    this.#stopped ??= error
    this.#attempts.end(error)
    this.#current?.lose(error.message)
  }

  async #run(held: HeldSocket, url: ServerUrl): Promise<void> {
    let attempt = this.#attempts.next()
    if (attempt.kind === 'ask') {
      await Promise.race([this.#ask(attempt.reason), endOf(held, 'closed')])
      attempt = this.#attempts.next()
    }
    if (attempt.kind === 'end') {
      this.#failure = attempt.error
      held.fail()
      return
    }
    if (attempt.kind === 'resume') {
      const nonce = await held.dial(url)
      this.#prepared = { nonce, credentials: await resume(attempt.key, { nonce, url }) }
      this.#attempts.resumed(await held.release())
    } else {
      const key = await inTurn(held.ended, () => this.#prove(held, url))
      this.#attempts.tapped(await held.release(), key)
    }
    const next = this.#attempts.next()
    if (next.kind === 'end') this.#failure = next.error
    // Another server may have a verifier, or know better.
    if (this.#attempts.failures() > 0) this.#dials++
  }

  /** Dials and asks for the tap. The key is what it endorsed, or null. */
  async #prove(held: HeldSocket, url: ServerUrl): Promise<SessionKey | null> {
    const { ceremony, session } = this.#options
    const nonce = await held.dial(url)
    // The browser may be slow to take the question off the screen.
    const proving = prove({ nonce, url }, { ceremony, session, signal: held.ended })
    const { key, credentials } = await Promise.race([proving, endOf(held, 'interrupted')])
    this.#prepared = { nonce, credentials }
    return key
  }

  #failed(held: HeldSocket, cause: unknown): void {
    this.#dials++
    this.#failure = cause instanceof PasskeyError ? cause : new PasskeyError('ceremony_failed', 'preparing a connection', { cause })
    this.#attempts.failed(this.#failure.code)
    held.lose(this.#failure.message)
  }

  // One question at a time: a page that still waits for its person is not told again.
  #ask(reason: TapReason): Promise<void> {
    this.#asking ??= this.#tell(reason).finally(() => {
      this.#asking = null
    })
    return this.#asking
  }

  async #tell(reason: TapReason): Promise<void> {
    try {
      await this.#options.onTapNeeded?.({ reason })
      this.#attempts.granted()
    } catch (cause) {
      this.#attempts.end(new PasskeyError('session_over', 'reconnecting: the session is over, and the page declined a tap', { cause }))
    }
  }
}

/** Rejects when the connection ends while a person is waited for. */
function endOf({ ended }: HeldSocket, code: 'closed' | 'interrupted'): Promise<never> {
  return new Promise((_, failed) => {
    ended.addEventListener('abort', () => failed(new PasskeyError(code, 'waiting for a person: the connection ended')))
  })
}
