/** A page that publishes and subscribes live, with a passkey. What it dials is compiled in, and comes from nowhere else. */
import type { NatsConnection } from '@nats-io/nats-core'
import { connectWithPasskey, PasskeyError, type PasskeyErrorCode } from 'nats-webauthn/browser'

/** Written by serve.ts when it bundles this file. */
declare const SETTINGS: { servers: string[]; rpId: string; handle: string; subject: string }

const WORDS: Partial<Record<PasskeyErrorCode, string>> = {
  cancelled: 'No passkey was used. Try again when you are ready.',
  server_refused: 'This passkey was not let in. Ask your administrator.',
  no_answer: 'Nobody answered. Please try again in a while.',
  server_unreachable: 'The server cannot be reached.',
  unsupported: 'This browser cannot do it. Please update it.',
  session_over: 'Your session is over.',
}

const state = element('state', HTMLElement)
const problem = element('problem', HTMLElement)
const hint = element('hint', HTMLElement)
const tap = element('tap', HTMLButtonElement)
const form = element('form', HTMLFormElement)
const subject = element('subject', HTMLInputElement)
const text = element('text', HTMLInputElement)
const publish = form.querySelector('button') as HTMLButtonElement

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id)
  if (!(found instanceof type)) throw new Error(`looking for #${id}`)
  return found
}

function show(words: string, kind: 'idle' | 'up' | 'down'): void {
  state.textContent = words
  state.dataset['state'] = kind
  publish.disabled = kind !== 'up'
}

/** Resolves with the next click: browsers want one before they ask for a passkey again. */
function click(label: string): Promise<void> {
  tap.textContent = label
  tap.hidden = tap.disabled = false
  return new Promise((clicked) => {
    const done = (): void => {
      tap.disabled = true
      clicked()
    }
    tap.addEventListener('click', done, { once: true })
  })
}

async function follow(nc: NatsConnection): Promise<void> {
  for await (const { type } of nc.status()) {
    if (type === 'disconnect') show('Reconnecting…', 'down')
    if (type === 'reconnect') connected()
  }
}

function connected(): void {
  show('Connected', 'up')
  tap.hidden = true
  hint.textContent = ''
  problem.textContent = ''
}

function receive(from: string, words: string): void {
  const row = document.createElement('li')
  const name = document.createElement('code')
  name.textContent = from
  row.append(name, words)
  element('messages', HTMLElement).prepend(row)
  element('empty', HTMLElement).hidden = true
}

async function run(): Promise<void> {
  const { servers, rpId, handle } = SETTINGS
  const nc = await connectWithPasskey({
    servers,
    rpId,
    handle,
    onTapNeeded: async ({ reason }) => {
      hint.textContent = reason === 'session_over' ? 'Your session is over.' : 'That did not work out.'
      await click('Continue with a passkey')
    },
  })
  connected()
  void follow(nc)
  nc.subscribe(SETTINGS.subject, {
    callback: (error, message) => {
      if (error) problem.textContent = 'You may not read these messages.'
      else receive(message.subject, message.string())
    },
  })
  form.onsubmit = (event) => {
    event.preventDefault()
    nc.publish(subject.value, text.value)
    text.value = ''
  }
  const error = await nc.closed()
  if (error instanceof Error) throw error
}

subject.value = SETTINGS.subject.replace('*', SETTINGS.handle)
show('Not connected', 'idle')
for (let label = 'Connect with a passkey'; ; label = 'Try again') {
  await click(label)
  problem.textContent = ''
  show('Connecting…', 'idle')
  try {
    await run()
  } catch (error) {
    problem.textContent = (error instanceof PasskeyError && WORDS[error.code]) || 'Something went wrong.'
  }
  show('Not connected', 'down')
}
