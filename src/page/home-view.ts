/** Signed in: the person's roles, devices and live sessions. */
import type { PersonView, SessionView } from '../core/people/people.ts'
import { call } from './api.ts'
import { connectionWords } from './connection-words.ts'
import { deviceCard } from './device-card.ts'
import { button, type Child, el } from './dom.ts'
import type { Failure } from './failure.ts'
import { icon } from './icons.ts'
import type { Page, View } from './page.ts'
import { card, iconLabel, outside, reportArea } from './parts.ts'
import { leaveForProvider } from './sign-in.ts'
import { againButtons, ownProviders } from './step-up-view.ts'
import { type TaskContext, taskButton } from './task.ts'
import { timeWords } from './time-words.ts'

/** Everything the person has here. */
export function homeView(page: Page, person: PersonView, now: number): View {
  return {
    heading: 'Your access',
    body: [introduction(page, person, now), rolesSection(page, person), devicesSection(page, person), sessionsSection(page, person, now)],
  }
}

function introduction({ info }: Page, { handle, how, provider, loginExpiresAt }: PersonView, now: number): HTMLElement {
  const label = info.providers.find(({ name }) => name === provider)?.label ?? 'your identity provider'
  const way = how === 'passkey' ? 'a passkey' : how === 'invitation' ? 'an invitation' : label
  return el(
    'p',
    { class: 'lead' },
    'Signed in as ',
    el('strong', {}, outside(handle)),
    ' with ',
    outside(way),
    ` until ${timeWords(loginExpiresAt, now)}.`,
  )
}

function rolesSection(page: Page, person: PersonView): HTMLElement {
  const { roles } = person
  const items = roles.map(({ name, stale, known }) => {
    const remark = !known ? 'not in use here' : stale ? 'sign in again to confirm it' : null
    return el(
      'li',
      { class: remark === null ? 'chip' : 'chip faded' },
      outside(name),
      remark === null ? null : el('span', {}, ` – ${remark}`),
    )
  })
  const content =
    items.length > 0 ? el('ul', { class: 'chips' }, ...items) : el('p', { class: 'empty' }, 'You have no role. Ask your administrator.')
  return el('section', { 'aria-labelledby': 'roles' }, el('h2', { id: 'roles' }, 'Roles'), content, wayToConfirm(page, person))
}

/** Roles that are too old are told anew by the identity provider. */
function wayToConfirm(page: Page, person: PersonView): HTMLElement | null {
  if (!person.roles.some(({ stale, known }) => stale && known)) return null
  const context: TaskContext = { page, place: { kind: 'home' }, area: reportArea() }
  const ways = againButtons(person, context, { fresh: false })
  return ways.length === 0 ? null : el('div', { class: 'confirm' }, ...ways, context.area)
}

function devicesSection(page: Page, person: PersonView): HTMLElement {
  const { devices, devicesMax } = person
  const area = reportArea()
  const { button: enrol, words } = wayToEnrol(page, person, area)
  const heading = el(
    'h2',
    { id: 'devices', tabindex: -1 },
    'Devices ',
    el('span', { class: 'count' }, `${devices.length} of ${devicesMax}`),
  )
  const list =
    devices.length > 0
      ? el('ul', { class: 'cards' }, ...devices.map((device) => el('li', {}, deviceCard(device, { page, person, area }))))
      : card(el('p', { class: 'empty' }, 'None yet. ', ...words))
  return el('section', { 'aria-labelledby': 'devices' }, el('div', { class: 'section-head' }, heading, enrol), area, list)
}

/** The button that begins enrolling, and what it is for. With one way to go there is no question in between. */
function wayToEnrol(page: Page, person: PersonView, area: HTMLElement): { button: HTMLElement | null; words: Child[] } {
  if (!person.roles.some(({ known }) => known)) return { button: null, words: ['You can enrol one when you have a role.'] }
  const label = iconLabel('key', 'Enrol this device')
  const purpose = 'Enrol this device to reach NATS with a tap.'
  if (person.devices.length > 0) return { button: button(label, { class: 'secondary' }, () => page.go({ kind: 'enrol' })), words: [] }
  const [provider, ...others] = ownProviders(page, person)
  if (person.enrol.needs !== 'fresh_login' || provider === undefined || others.length > 0)
    return { button: button(label, { class: 'primary' }, () => page.go({ kind: 'enrol' })), words: [purpose] }
  const place = { kind: 'enrol' } as const
  const leave = () => leaveForProvider(page, { provider: provider.name, fresh: true, place })
  return {
    button: taskButton(label, { class: 'primary' }, { page, place, area }, leave),
    words: [purpose, ' You sign in once more with ', outside(provider.label), ' first.'],
  }
}

function sessionsSection(page: Page, { sessions }: PersonView, now: number): HTMLElement {
  const area = reportArea()
  const context: TaskContext = { page, place: { kind: 'home' }, area }
  const heading = el('h2', { id: 'sessions', tabindex: -1 }, 'Live sessions ', el('span', { class: 'count' }, String(sessions.length)))
  const content =
    sessions.length > 0
      ? el('ul', { class: 'rows' }, ...sessions.map((session) => sessionRow(session, context, now)))
      : card(el('p', { class: 'empty' }, 'None. A session lets a terminal or an application reconnect without a tap.'))
  return el('section', { 'aria-labelledby': 'sessions' }, el('div', { class: 'section-head' }, heading), area, content)
}

function sessionRow(session: SessionView, context: TaskContext, now: number): HTMLElement {
  const { nkey, label, plain, byCode, device, expiresAt } = session
  const name = label === '' ? (plain ? 'A terminal' : 'An application') : label
  const from = device === null ? 'a device that is gone' : device.name
  const kind = byCode ? 'terminal, by code' : plain ? 'terminal' : 'application'
  const end = taskButton('End', { class: 'quiet', 'aria-label': `End the session ${name}` }, context, () =>
    endSession(context.page, { nkey, name }),
  )
  return el(
    'li',
    { class: 'row' },
    icon(plain ? 'terminal' : 'browser'),
    el(
      'div',
      { class: 'row-words' },
      el('p', { class: 'row-title' }, outside(name)),
      el('p', { class: 'muted' }, `${kind}, tapped with `, outside(from), `, until ${timeWords(expiresAt, now)}`),
    ),
    end,
  )
}

async function endSession(page: Page, { nkey, name }: { nkey: string; name: string }): Promise<Failure | null> {
  const answered = await call('/v1/sessions/end', { nkey })
  if (!answered.ok) return answered.failure
  page.person = answered.value.person
  const text = connectionWords(answered.value.connections)
  page.go({ kind: 'home' }, { tone: 'good', title: `The session “${name}” has ended`, text }, 'sessions')
  return null
}
