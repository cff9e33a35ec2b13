/** A terminal asks to be signed in as this person: what it is, what it would get, and the tap. */
import type { PersonView, SessionRequestView } from '../core/people/people.ts'
import { call } from './api.ts'
import { signWithPasskey } from './ceremony.ts'
import { button, el, freshId } from './dom.ts'
import type { Failure } from './failure.ts'
import { isLoopback } from './loopback.ts'
import type { Page, View } from './page.ts'
import { actions, card, facts, iconLabel, noticeBox, outside, reportArea, roleChips } from './parts.ts'
import { type Place, showPlace } from './place.ts'
import { type TaskContext, taskButton } from './task.ts'
import { lengthWords, timeWords } from './time-words.ts'

/** What is asked, and the answer. `place`: where to come back to. */
export function endorseView(
  page: Page,
  { person, session, place }: { person: PersonView; session: SessionRequestView; place: Place },
): View {
  const context: TaskContext = { page, place, area: reportArea() }
  const byCode = session.flow === 'code'
  return {
    heading: 'A terminal asks to sign in as you',
    body: [
      el('p', { class: 'lead' }, 'Approve it only if you typed ', el('code', {}, 'login'), ' there yourself, just now.'),
      card(sessionFacts(person, session), byCode ? codeWarning() : linkWarning(), ...answer(context, session)),
    ],
  }
}

function sessionFacts({ handle }: PersonView, session: SessionRequestView): HTMLElement {
  const { code, host, lifetimeSeconds, roles, account, expiresAt } = session
  const byCode = session.flow === 'code'
  return el(
    'div',
    { class: 'stack' },
    el(
      'p',
      { class: 'check' },
      el('span', {}, byCode ? 'The code you typed' : 'Your terminal shows this check code'),
      el('strong', {}, code),
    ),
    facts(
      ['Terminal', host === '' ? 'It does not say where it runs' : el('span', {}, 'It says it runs on ', el('strong', {}, outside(host)))],
      ['Signed in as', el('strong', {}, outside(handle))],
      ['Roles', roles.length > 0 ? roleChips(roles) : 'None'],
      ['Account', outside(account)],
      ['Lasts', `${lengthWords(lifetimeSeconds)}, without another tap`],
      ['Answer by', timeWords(expiresAt, Date.now())],
    ),
  )
}

function linkWarning(): HTMLElement {
  return noticeBox({
    tone: 'bad',
    title: 'Did somebody send you here?',
    text: 'Then refuse. Whoever holds the terminal can act as you until the session ends. Go on only if the code above is in your own terminal.',
  })
}

function codeWarning(): HTMLElement {
  return noticeBox({
    tone: 'bad',
    title: 'Never approve a code that somebody gave you',
    text: 'Not by mail, chat or phone, whoever they say they are: it would sign them in as you, at once. No administrator ever needs it.',
  })
}

/** Approve and refuse. A typed code wants a statement first: nothing else ties it to the machine it is for. */
function answer(context: TaskContext, session: SessionRequestView): HTMLElement[] {
  const approve = taskButton(iconLabel('key', 'Approve with a passkey'), { class: 'primary' }, context, () => endorse(context, session))
  const refuse = taskButton('Refuse', { class: 'secondary' }, context, () => refuseSession(context, session))
  if (session.flow !== 'code') return [actions(approve, refuse), context.area]
  const id = freshId('mine')
  const mine = el('input', { id, type: 'checkbox' })
  approve.disabled = true
  mine.addEventListener('change', () => {
    approve.disabled = !mine.checked
  })
  const statement = el(
    'label',
    { class: 'statement', for: id },
    mine,
    el('span', {}, 'I typed ', el('code', {}, 'login'), ' on that machine myself, and read this code from its screen.'),
  )
  return [statement, actions(approve, refuse), context.area]
}

/** Before anything of a request is shown: approving takes a device. */
export function enrolFirstView(page: Page, place: Place): View {
  const enrol = button('Enrol this device', { class: 'primary' }, () => {
    page.next = place
    page.go({ kind: 'enrol' })
  })
  return {
    heading: 'Enrol this device first',
    body: [
      el('p', { class: 'lead' }, 'A terminal asks to be signed in. Approving that takes a passkey, and you have none here yet.'),
      card(el('p', {}, 'Enrol this device; then you come back and see what the terminal asks for.'), actions(enrol)),
    ],
  }
}

async function endorse({ page, area }: TaskContext, { request, flow }: SessionRequestView): Promise<Failure | null> {
  const asked = await call('/v1/session/options', { request })
  if (!asked.ok) return asked.failure
  const signed = await signWithPasskey(asked.value.options)
  if (!signed.ok) return signed.failure
  const endorsed = await call('/v1/session/endorse', { request, response: signed.value })
  if (!endorsed.ok) return endorsed.failure
  area.replaceChildren()
  const { callback } = endorsed.value
  // A reload has nothing to come back to: the request is answered.
  showPlace({ kind: 'home' })
  if (callback === null) {
    page.show(doneView(page, 'Go back to your terminal: it is signed in.'))
    return null
  }
  if (flow !== 'loopback' || !isLoopback(callback)) return { code: 'callback_refused', check: null, waitSeconds: null }
  page.show(doneView(page, 'Your browser now tells your terminal. If nothing happens there, type the login command again.'))
  location.assign(callback)
  return null
}

async function refuseSession({ page }: TaskContext, { request }: SessionRequestView): Promise<Failure | null> {
  const refused = await call('/v1/session/refuse', { request })
  if (!refused.ok) return refused.failure
  page.go(
    { kind: 'home' },
    {
      tone: 'good',
      title: 'Refused',
      text: 'The terminal gets nothing. If you did not start it, tell your administrator that somebody tried.',
    },
  )
  return null
}

function doneView(page: Page, text: string): View {
  return {
    heading: 'Approved',
    body: [
      el('p', { class: 'lead' }, text),
      card(
        el('p', {}, 'You can end the session at any time under “Live sessions”.'),
        actions(button('See your access', { class: 'secondary' }, () => void page.refresh())),
      ),
    ],
  }
}
