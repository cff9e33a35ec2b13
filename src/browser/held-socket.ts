/**
 * The WebSocket that nats-core is given. It holds the server's INFO back until this connection's proof is made, keeps
 * its own times, and tells each failure in the way that nats-core hears it at once.
 */
import { concat, fromUtf8, utf8 } from '../core/encoding.ts'
import type { ServerUrl } from '../core/server-address.ts'
import type { Verdict } from './attempts.ts'
import { firstLineEnd, infoBytesMax, nonceOf } from './info.ts'
import { PasskeyError, type PasskeyErrorCode } from './passkey-error.ts'

/** Opens a WebSocket. */
export type OpenSocket = (url: string) => WebSocket

interface Ending {
  wasClean: boolean
  reason: string
  code: number
}

// Between dialling and INFO there is nobody to wait for.
const infoMilliseconds = 10_000
// nats-server answers within its `authorization.timeout`, which nobody sets longer.
const verdictMilliseconds = 60_000
const verdictBytesMax = 64 * 1024

const BROKEN: Ending = { wasClean: false, reason: '', code: 1006 }
// No server sent these. Once CONNECT is sent, an authentication error is all that makes nats-core dial again at once.
const LOST = utf8("-ERR 'Authentication Timeout'\r\n")
// And an error of the authenticator, which INFO makes it ask, is all that makes nats-core end with an error of ours.
const NOTHING = utf8('INFO {"version":"2.0.0","proto":1}\r\n')

/** One dial. Has those members of a WebSocket that nats-core's transport uses. */
export class HeldSocket {
  binaryType = 'arraybuffer'
  onopen: (() => void) | null = null
  onmessage: ((event: { data: ArrayBuffer }) => void) | null = null
  onclose: ((event: Ending) => void) | null = null
  onerror: ((event: { message: string }) => void) | null = null
  readonly #open: OpenSocket
  readonly #ended = new AbortController()
  #phase: 'idle' | 'info' | 'held' | 'verdict' | 'up' | 'over' = 'idle'
  #real: WebSocket | null = null
  #received: Uint8Array = new Uint8Array(0)
  #timer: ReturnType<typeof setTimeout> | undefined
  #info: { found(nonce: string): void; failed(error: PasskeyError): void } | null = null
  #verdict: ((verdict: Verdict | null) => void) | null = null
  #releasedAt = 0

  constructor(open: OpenSocket) {
    this.#open = open
  }

  /** Aborted when either side ended the connection. */
  get ended(): AbortSignal {
    return this.#ended.signal
  }

  get bufferedAmount(): number {
    return this.#phase === 'up' ? (this.#real?.bufferedAmount ?? 0) : 0
  }

  send(data: ArrayBuffer): void {
    this.#real?.send(data)
  }

  close(): void {
    this.#end({ wasClean: true, reason: '', code: 1000 }, 'closed by the program')
  }

  /** Dials, and resolves with the nonce of the server's INFO. Rejects with a PasskeyError. */
  dial(url: ServerUrl): Promise<string> {
    return new Promise((found, failed) => {
      this.#info = { found, failed }
      if (this.#phase !== 'idle') {
        this.#refuse('closed', 'dialling: the connection ended before')
        return
      }
      this.#phase = 'info'
      this.#timer = setTimeout(() => this.#refuse('info_timeout', 'dialling: no INFO in time'), infoMilliseconds)
      try {
        this.#real = this.#open(url)
      } catch {
        this.#refuse('server_unreachable', 'dialling: the browser refused')
        return
      }
      this.#real.binaryType = 'arraybuffer'
      this.#real.onmessage = ({ data }: { data: unknown }) =>
        this.#take(data instanceof ArrayBuffer ? new Uint8Array(data) : utf8(`${data}`))
      this.#real.onclose = ({ wasClean, reason, code }) => this.#end({ wasClean, reason, code }, 'the server closed the connection')
    })
  }

  /** Hands INFO to nats-core, which then sends CONNECT. Null when the connection ended without a verdict. */
  release(): Promise<Verdict | null> {
    return new Promise((settle) => {
      if (this.#phase !== 'held') {
        settle(null)
        return
      }
      this.#phase = 'verdict'
      this.#verdict = settle
      this.#releasedAt = performance.now()
      this.#timer = setTimeout(() => this.lose('no answer in time'), verdictMilliseconds)
      const info = this.#received
      this.#received = new Uint8Array(0)
      this.#deliver(info)
    })
  }

  /** Ends this dial; nats-core dials again. */
  lose(message: string): void {
    this.#end(BROKEN, message)
  }

  /** Ends the connection for good, with what the authenticator throws. */
  fail(): void {
    if (this.#phase === 'idle') this.#deliver(NOTHING)
  }

  #deliver(bytes: Uint8Array): void {
    this.onmessage?.({ data: new Uint8Array(bytes).buffer })
  }

  #refuse(code: PasskeyErrorCode, message: string): void {
    this.#info?.failed(new PasskeyError(code, message))
    this.#info = null
  }

  #take(bytes: Uint8Array): void {
    if (this.#phase === 'up') this.#deliver(bytes)
    else if (this.#phase === 'verdict') {
      this.#readVerdict(bytes)
      this.#deliver(bytes)
    } else if (this.#phase === 'info' || this.#phase === 'held') {
      this.#received = concat(this.#received, bytes)
      if (this.#received.length > infoBytesMax) {
        this.#refuse('info_refused', `reading INFO: more than ${infoBytesMax} bytes`)
        this.lose('the server said too much')
      } else if (this.#phase === 'info') this.#readInfo()
    }
  }

  #readInfo(): void {
    const end = firstLineEnd(this.#received)
    if (end < 0) return
    clearTimeout(this.#timer)
    this.#phase = 'held'
    const nonce = nonceOf(this.#received.subarray(0, end))
    if (nonce instanceof PasskeyError) this.#info?.failed(nonce)
    else this.#info?.found(nonce)
    this.#info = null
  }

  // Up to the first PONG or -ERR there is nothing but short protocol lines: nothing is subscribed yet.
  #readVerdict(bytes: Uint8Array): void {
    this.#received = concat(this.#received, bytes)
    const text = fromUtf8(this.#received) ?? ''
    const accepted = /^PONG\r\n/im.test(text)
    if (!accepted && !/^-ERR '?authorization violation/im.test(text)) {
      if (this.#received.length > verdictBytesMax) this.lose('the server said too much')
      return
    }
    clearTimeout(this.#timer)
    this.#phase = 'up'
    this.#received = new Uint8Array(0)
    this.#verdict?.({ accepted, afterMilliseconds: performance.now() - this.#releasedAt })
    this.#verdict = null
  }

  #end(ending: Ending, message: string): void {
    if (this.#phase === 'over') return
    const before = this.#phase
    this.#phase = 'over'
    clearTimeout(this.#timer)
    this.#real?.close()
    this.#ended.abort()
    this.#refuse('server_unreachable', `dialling: ${message}`)
    this.#verdict?.(null)
    if (before === 'verdict') this.#deliver(LOST)
    // In a task of its own: nats-core sets its handlers after it was given the socket.
    setTimeout(() => {
      // Before INFO nats-core hears errors alone, unless it closed the socket itself: then it hears `onclose` alone.
      if (before !== 'verdict' && before !== 'up') this.onerror?.({ message })
      this.onclose?.(ending)
    }, 0)
  }
}
