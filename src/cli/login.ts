/** `login`: a person's tap in a browser endorses a session nkey that was made here (docs/login.md). */
import { hostname, userInfo } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import { WebAuthnClientError } from '../client/client-error.ts'
import { createSessionKey, type SessionKey } from '../client/session-key.ts'
import { endSession, type OpenSessionRequest, requestSession, type TerminalSession } from '../client/session-request.ts'
import { verifierOrigin } from '../client/verifier-call.ts'
import { sessionRequestSeconds } from '../core/people/people.ts'
import { REFUSALS } from '../core/refusal.ts'
import { safeText } from '../core/safe-text.ts'
import { type Command, type CommandIo, JSON_OPTION, UsageError } from './command.ts'
import { EXIT } from './exit-codes.ts'
import { type LoopbackListener, openListener } from './loopback-listener.ts'
import { contextFile, contextUrl, defaultContextName, readContext, readContextName, writeContext } from './nats-context.ts'
import { openBrowser } from './open-browser.ts'
import { makeSessionDir, readSaved, readSavedKey, type SavedSession, seedFileOf, sessionDir, writeSaved } from './saved-session.ts'

const hostCharsMax = 64
const pollMs = 2_000
const forgetMs = 3_000
const PASSING: readonly string[] = ['internal', 'unavailable', 'rate_limited']

export const login: Command = {
  name: 'login',
  summary: 'Let a tap in the browser endorse a session for this terminal, and write a context for the nats CLI.',
  usage: '--url URL [--code] [--context NAME] [--dir DIR] [--no-browser] [--json]',
  examples: [
    'nats-webauthn login --url https://verifier.example.com',
    'nats-webauthn login --url https://verifier.example.com --code --context work',
  ],
  options: {
    url: { type: 'string', value: 'URL', help: "The verifier's address; http:// only to this machine." },
    code: { type: 'boolean', help: 'For a machine without a browser: type a code at the page, on any other. Roles must allow it.' },
    context: { type: 'string', value: 'NAME', help: "Name of the context; the verifier's host otherwise." },
    dir: { type: 'string', value: 'DIR', help: 'Where the session lives; ~/.config/nats-webauthn otherwise.' },
    'no-browser': { type: 'boolean', help: 'Print the address instead of opening it.' },
    ...JSON_OPTION,
  },
  positionals: { min: 0, max: 0 },
  async run(input, io) {
    const url = input.text('url')
    if (url === undefined) throw new UsageError('--url is needed')
    const origin = verifierOrigin(url)
    const context = input.text('context')
    const name = context === undefined ? defaultContextName(origin) : readContextName(context)
    const place = findPlace({ name, origin, dir: sessionDir(input.text('dir'), io.env), io })
    const key = createSessionKey()
    const session = await ask({ origin, key, byCode: input.flag('code'), opens: !input.flag('no-browser') }, io)
    try {
      keep(session, key, place)
    } catch (error) {
      await forget(origin, key)
      throw error
    }
    await endEarlier(place.earlier, io)
    report(session, place, { json: input.flag('json'), io })
    return EXIT.ok
  },
}

interface Place {
  name: string
  origin: string
  dir: string
  contextFile: string
  seedFile: string
  /** The session that this one takes the place of, with its key. */
  earlier: { saved: SavedSession; key: SessionKey | null } | null
  context: Record<string, unknown> | null
}

/** Where the session will live. Nothing that another verifier, or a person, put there is overwritten. */
function findPlace({ name, origin, dir, io }: { name: string; origin: string; dir: string; io: CommandIo }): Place {
  const file = contextFile(name, io.env)
  const seedFile = seedFileOf(dir, name)
  const saved = readSaved(dir, name)
  const context = readContext(file)
  if (saved !== null && saved.origin !== origin)
    throw new UsageError(`${name} is a session of ${saved.origin}; give --context another name`)
  if (context !== null && (saved === null || context['nkey'] !== seedFile)) {
    throw new UsageError(`the context ${name} was not made by login; give --context another name`)
  }
  makeSessionDir(dir)
  const earlier = saved === null ? null : { saved, key: readSavedKey(saved) }
  return { name, origin, dir, contextFile: file, seedFile, earlier, context }
}

/** Asks, and waits for the person. */
async function ask(
  { origin, key, byCode, opens }: { origin: string; key: SessionKey; byCode: boolean; opens: boolean },
  io: CommandIo,
): Promise<TerminalSession> {
  const listener = byCode ? null : await openListener()
  const over = new AbortController()
  const stop = AbortSignal.any([over.signal, io.stopSignal()])
  let request: OpenSessionRequest | null = null
  try {
    request = await requestSession({ url: origin, key, host: thisHost(), port: listener?.port ?? null })
    await invite(request, { byCode, opens, io })
    const answers = [polled(request, stop)]
    if (listener !== null) answers.push(calledBack(request, listener))
    return await Promise.race(answers)
  } catch (error) {
    if (request !== null) await forget(origin, key)
    throw explained(error, io)
  } finally {
    over.abort()
    listener?.close()
  }
}

async function invite(
  request: OpenSessionRequest,
  { byCode, opens, io }: { byCode: boolean; opens: boolean; io: CommandIo },
): Promise<void> {
  if (byCode) {
    io.say(`Open ${request.url} on any machine where you can sign in, and type the code`)
    io.say(`    ${request.code}`)
    io.say('Type it only because you asked for it here, just now.')
  } else {
    const opened = opens && (await openBrowser(request.url, io.env))
    io.say(opened ? 'Your browser opens. If it does not, go to' : 'In a browser on this machine, go to')
    io.say(`    ${request.url}`)
    io.say(`The page must show the code ${request.code}.`)
    if (!opened && opens) io.say('No browser here? Use `login --code`, where your roles allow it.')
  }
  io.say(`Waiting for your tap, ${sessionRequestSeconds / 60} minutes at most; Ctrl-C gives up.`)
}

async function calledBack(request: OpenSessionRequest, listener: LoopbackListener): Promise<TerminalSession> {
  return request.complete(await listener.callbackOf(request.request))
}

/** Asks every other second until the person has answered: in the loopback flow it is from here that a no is known. */
async function polled(request: OpenSessionRequest, stop: AbortSignal): Promise<TerminalSession> {
  const end = Date.now() + sessionRequestSeconds * 1000
  while (Date.now() < end) {
    await wait(pollMs, undefined, { signal: stop })
    const answer = await request.poll().catch((error: unknown) => {
      if (isPassing(error)) return { state: 'waiting' as const }
      throw error
    })
    if (answer.state === 'complete') return answer.session
    if (answer.state === 'refused') throw new Error('the request was refused at the page')
  }
  throw new Error('nobody tapped in time')
}

/** A verifier that restarts, fails or is busy is asked again; one that refuses is not. */
function isPassing(error: unknown): boolean {
  if (!(error instanceof WebAuthnClientError)) return false
  return error.code === 'session_failed' || (error.refusal !== null && PASSING.includes(error.refusal))
}

/** The verifier's fixed sentence for its refusal code. */
function explained(error: unknown, io: CommandIo): Error {
  if (io.stopSignal().aborted) return new Error('given up; nothing was endorsed here')
  if (!(error instanceof WebAuthnClientError) || error.refusal === null) return error instanceof Error ? error : new Error('logging in')
  const rows = Object.values(REFUSALS).flatMap((area) => Object.values<{ code: string; message: string }>(area))
  const row = rows.find(({ code }) => code === error.refusal)
  return row === undefined ? error : new Error(row.message, { cause: error })
}

/** A session whose key is thrown away, should the tap have come all the same: nobody could use it, or end it later. */
async function forget(url: string, key: SessionKey): Promise<void> {
  await endSession({ url, key, timeoutMs: forgetMs }).catch(() => false)
}

function keep(session: TerminalSession, key: SessionKey, place: Place): void {
  const { dir, name, origin, seedFile } = place
  const { handle, nkey, expiresAt } = session
  const saved: SavedSession = { origin, nkey, handle, seedFile, contextFile: place.contextFile, expiresAt }
  writeSaved(dir, name, { key, saved })
  const settings = {
    description: `${handle} by nats-webauthn login`,
    url: contextUrl(session.urls),
    nkey: seedFile,
    inbox_prefix: session.inboxPrefix,
  }
  writeContext(place.contextFile, settings, place.context)
}

/** The session before this one ends: it has no key file any more. */
async function endEarlier(earlier: Place['earlier'], io: CommandIo): Promise<void> {
  if (earlier === null || earlier.key === null || earlier.saved.expiresAt <= Date.now()) return
  try {
    await endSession({ url: earlier.saved.origin, key: earlier.key })
  } catch (error) {
    if (!(error instanceof WebAuthnClientError)) throw error
    io.say(`The session before this one, ${earlier.saved.nkey}, could not be ended: end it at the page.`)
  }
}

function report(session: TerminalSession, place: Place, { json, io }: { json: boolean; io: CommandIo }): void {
  const { handle, nkey, roles, urls, inboxPrefix, expiresAt } = session
  const { name, seedFile } = place
  const expires = new Date(expiresAt).toISOString()
  if (json) {
    const files = { context: name, context_file: place.contextFile, seed_file: seedFile }
    io.out(JSON.stringify({ handle, nkey, roles, urls, inbox_prefix: inboxPrefix, expires_at: expires, ...files }))
    return
  }
  io.out(`${handle} is logged in until ${expires}, with ${roles.join(', ')}`)
  io.say(
    `Now: nats --context ${name} sub '${inboxPrefix}.>', or any client with the nkey file ${seedFile} and the inbox prefix ${inboxPrefix}.`,
  )
  io.say(`Ends with: nats-webauthn logout --context ${name}`)
}

function thisHost(): string {
  let user = ''
  try {
    user = `${userInfo().username}@`
  } catch {
    // A user id without a name, as in containers.
  }
  return safeText(`${user}${hostname()}`, hostCharsMax)
}
