/** Signed out: a button for each identity provider, a passkey, or an invitation. */
import { call } from './api.ts'
import { canOfferInField, obstacle } from './ceremony.ts'
import { el, freshId } from './dom.ts'
import type { Page, View } from './page.ts'
import { actions, card, iconLabel, noticeBox, noticeOf, outside, reportArea } from './parts.ts'
import type { Place } from './place.ts'
import { leaveForProvider, signInFromField, signInWithPasskey, signInWithTicket } from './sign-in.ts'
import { runTask, type TaskContext, taskButton, tell } from './task.ts'

/** Signing in, on the way to `place`. */
export function signInView(page: Page, place: Place): View {
  const context = { page, place, area: reportArea() }
  const { providers } = page.info
  const hindrance = obstacle()
  const buttons = providers.map(({ name, label }) => {
    const words = el('span', {}, 'Continue with ', outside(label))
    return taskButton(words, { class: 'primary wide' }, context, () => leaveForProvider(page, { provider: name, fresh: false, place }))
  })
  const passkey =
    hindrance === null ? passkeyPart(context) : { body: [noticeBox(noticeOf({ code: hindrance, check: null, waitSeconds: null }))] }
  const or = providers.length > 0 && hindrance === null ? el('p', { class: 'or' }, el('span', {}, 'or')) : null
  const heading = 'Sign in'
  const newcomer = providers.length > 0 ? null : el('p', { class: 'hint' }, 'New here? Ask your administrator for an invitation.')
  const body = [el('p', { class: 'lead' }, leadWords(place)), card(...buttons, or, ...passkey.body, newcomer, context.area)]
  return passkey.shown === undefined ? { heading, body } : { heading, body, shown: passkey.shown }
}

function leadWords(place: Place): string {
  if (place.kind === 'session' || place.kind === 'code') return 'Sign in first. Then you see what your terminal asks for, and decide.'
  return 'Manage the devices with which you reach NATS, and the sessions that are open.'
}

function passkeyPart(context: TaskContext): { body: Node[]; shown?: (gone: AbortSignal) => void } {
  const { page, place } = context
  const isOnlyWay = page.info.providers.length === 0
  const id = freshId('passkey')
  const input = el('input', {
    id,
    type: 'text',
    name: 'username',
    autocomplete: 'username webauthn',
    'aria-describedby': `${id}-hint`,
    spellcheck: false,
  })
  const hint = el('p', { id: `${id}-hint`, class: 'hint' }, 'Click into the field, and your browser lists them.')
  const form = el(
    'form',
    { class: 'field', novalidate: true, hidden: true },
    el('label', { for: id }, 'Passkeys on this device'),
    input,
    hint,
  )
  let gone: AbortSignal | null = null
  const offer = () => (gone === null ? undefined : void keepOffering(context, form, gone))
  const signIn = async () => {
    const failure = await signInWithPasskey(page)
    if (failure === null) page.go(place)
    else offer()
    return failure
  }
  const label = iconLabel('key', 'Sign in with a passkey')
  const button = taskButton(label, { class: isOnlyWay ? 'primary wide' : 'secondary wide' }, context, signIn)
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    void runTask(button, context, signIn)
  })
  return {
    body: [button, form],
    shown: (signal) => {
      gone = signal
      offer()
    },
  }
}

/** Offers passkeys in the field for as long as the view is on screen, and the field with them. */
async function keepOffering(context: TaskContext, form: HTMLFormElement, gone: AbortSignal): Promise<void> {
  if (!(await canOfferInField()) || gone.aborted) return
  form.hidden = false
  let outcome: Awaited<ReturnType<typeof signInFromField>> = 'over'
  while (outcome === 'over' && !gone.aborted) {
    // A tab that nobody looks at asks the service for nothing.
    await visible()
    if (!gone.aborted) outcome = await signInFromField(context.page, gone)
  }
  if (outcome === 'signed_in') context.page.go(context.place)
  else if (typeof outcome === 'object' && !gone.aborted) tell(context, outcome)
}

async function visible(): Promise<void> {
  if (document.visibilityState === 'visible') return
  await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }))
  await visible()
}

/** An invitation: says so, and signs in with it when the person goes on. */
export function invitationView(page: Page, ticket: string): View {
  const context = { page, place: { kind: 'home' } as const, area: reportArea() }
  const accept = async () => {
    const failure = await signInWithTicket(page, ticket)
    if (failure === null) page.go({ kind: 'enrol' })
    return failure
  }
  const other =
    page.person === null
      ? null
      : el('p', {}, 'You are signed in as ', el('strong', {}, outside(page.person.handle)), '. Going on signs you out there.')
  const hindrance = obstacle()
  return {
    heading: 'You are invited',
    body: [
      el('p', { class: 'lead' }, 'Someone gave you access to NATS. Go on to enrol a device: it takes one name and two taps.'),
      card(
        el('p', {}, 'The invitation is for you alone and works once. Keep the link until your device is enrolled.'),
        other,
        hindrance === null ? null : noticeBox(noticeOf({ code: hindrance, check: null, waitSeconds: null })),
        hindrance === null ? actions(taskButton('Accept the invitation', { class: 'primary' }, context, accept)) : null,
        context.area,
      ),
    ],
  }
}

/** Signs out, and says so. */
export async function signOut(page: Page): Promise<void> {
  const answered = await call('/v1/logout', {})
  if (!answered.ok && answered.failure.code !== 'login_required') return page.go({ kind: 'home' }, noticeOf(answered.failure))
  page.person = null
  page.go(
    { kind: 'home' },
    { tone: 'good', title: 'You are signed out', text: 'Sessions of your terminals and applications go on until they end.' },
  )
}
