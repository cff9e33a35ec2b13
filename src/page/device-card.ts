/** One device of the person: what it is, what it gives, rename and remove. */
import type { DeviceView, PersonView } from '../core/people/people.ts'
import { call } from './api.ts'
import { connectionWords } from './connection-words.ts'
import { backupWords, bindingWords, missingWords, modelWords, nameCharsMax, nameProblem, stateWords } from './device-words.ts'
import { ask, askText } from './dialog.ts'
import { el } from './dom.ts'
import type { Failure } from './failure.ts'
import { icon } from './icons.ts'
import { announce, type Page } from './page.ts'
import { actions, facts, outside } from './parts.ts'
import { signalRemoved } from './signal.ts'
import { taskButton } from './task.ts'
import { dayWords } from './time-words.ts'

/** A device in the list. `area`: where failures are shown. */
export function deviceCard(device: DeviceView, context: { page: Page; person: PersonView; area: HTMLElement }): HTMLElement {
  const { page, person, area } = context
  const { name, synced, state, current } = device
  const titleId = titleIdOf(device)
  const place = { kind: 'home' } as const
  const blocked = stateWords(state)
  return el(
    'article',
    { class: 'card device', 'aria-labelledby': titleId },
    el(
      'div',
      { class: 'device-head' },
      icon(synced ? 'cloud' : 'chip'),
      el('h3', { id: titleId, tabindex: -1 }, outside(name)),
      current ? el('span', { class: 'tag' }, 'Used now') : null,
      blocked === null ? null : el('span', { class: 'tag bad' }, blocked),
    ),
    deviceFacts(device),
    roleList(device, person),
    actions(
      taskButton('Rename', { class: 'quiet', 'aria-label': `Rename ${name}` }, { page, place, area }, () => renameDevice(page, device)),
      taskButton('Remove', { class: 'quiet danger-text', 'aria-label': `Remove ${name}` }, { page, place, area }, () =>
        removeDevice(page, person, device),
      ),
    ),
  )
}

/** What a device is. */
export function deviceFacts(device: DeviceView): HTMLElement {
  return facts(
    ['Passkey', bindingWords(device)],
    ['Backed up', backupWords(device)],
    ['Model', modelWords(device)],
    ['Enrolled', dayWords(device.createdAt)],
  )
}

/** Which roles a device gives, and what the others need. */
export function roleList({ roles, state }: DeviceView, person: PersonView | null): HTMLElement {
  if (state !== 'active') return el('p', { class: 'muted' }, 'It gives no role.')
  const stale = new Set(person?.roles.filter((role) => role.stale).map(({ name }) => name))
  const items = roles.map(({ name, unmet }) => {
    const missing = missingWords(unmet)
    if (missing === null && stale.has(name))
      return el(
        'li',
        { class: 'lacks' },
        icon('cross'),
        el('span', {}, 'Gives ', el('strong', {}, outside(name)), ' once you sign in again'),
      )
    if (missing === null) return el('li', { class: 'gives' }, icon('check'), el('span', {}, 'Gives ', el('strong', {}, outside(name))))
    return el(
      'li',
      { class: 'lacks' },
      icon('cross'),
      el('span', {}, 'Does not give ', el('strong', {}, outside(name)), `: that needs ${missing}`),
    )
  })
  return items.length > 0 ? el('ul', { class: 'role-list' }, ...items) : el('p', { class: 'muted' }, 'You have no role that it could give.')
}

function titleIdOf({ id }: DeviceView): string {
  return `device-${id}`
}

async function renameDevice(page: Page, device: DeviceView): Promise<Failure | null> {
  const { id } = device
  const name = await askText({
    title: 'Rename this device',
    label: 'Name',
    value: device.name,
    maxLength: nameCharsMax,
    confirm: 'Save',
    problemOf: nameProblem,
  })
  if (name === null || name === device.name) return null
  const answered = await call('/v1/devices/rename', { id, name })
  if (!answered.ok) return answered.failure
  page.person = answered.value.person
  page.go({ kind: 'home' }, null, titleIdOf(device))
  announce(`The device is now called ${name}.`)
  return null
}

async function removeDevice(page: Page, person: PersonView, device: DeviceView): Promise<Failure | null> {
  const { id, name, current } = device
  const sessions = person.sessions.filter((session) => session.device?.id === id).length
  const consequences = [
    el('p', {}, 'It cannot sign in any more, and its open connections are closed at once.'),
    sessions > 0
      ? el(
          'p',
          {},
          sessions === 1
            ? 'A live session was tapped with it and ends as well.'
            : `${sessions} live sessions were tapped with it and end as well.`,
        )
      : null,
    current && person.how === 'passkey' ? el('p', {}, 'You signed in with it, so you will be signed out.') : null,
    person.devices.length === 1 ? el('p', {}, el('strong', {}, 'It is your only device.'), ` ${wayBack(person)}`) : null,
  ]
  const body = consequences.filter((paragraph) => paragraph !== null)
  if (!(await ask({ title: `Remove “${name}”?`, body, confirm: 'Remove', danger: true }))) return null
  const answered = await call('/v1/devices/remove', { id })
  if (!answered.ok) return answered.failure
  const { person: left, connections } = answered.value
  page.person = left
  const devices = left?.devices ?? person.devices.filter((other) => other.id !== id)
  void signalRemoved(id, { ...person, devices })
  const text = `${connectionWords(connections)} If your passkey manager still lists it, delete it there.`
  const title = `“${name}” was removed`
  if (left === null) page.go({ kind: 'home' }, { tone: 'good', title, text: `${text} You signed in with it, so you are signed out.` })
  else page.go({ kind: 'home' }, { tone: 'good', title, text }, 'devices')
  return null
}

function wayBack({ how }: PersonView): string {
  switch (how) {
    case 'idp':
      return 'To come back you will sign in at your identity provider.'
    case 'invitation':
      return 'To come back you will need a new invitation.'
    case 'passkey':
      return 'To come back you will sign in at your identity provider, or need a new invitation.'
  }
}
