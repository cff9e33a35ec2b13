/** Enrolling this device: a name, two taps, and what came of it. */
import type { DeviceView, PersonView } from '../core/people/people.ts'
import { call } from './api.ts'
import { makePasskey, obstacle, signWithPasskey } from './ceremony.ts'
import { deviceFacts, roleList } from './device-card.ts'
import { freeName, nameCharsMax, nameProblem, platformName } from './device-words.ts'
import { textField } from './dialog.ts'
import { button, el } from './dom.ts'
import { done, type Failure, type Outcome } from './failure.ts'
import { icon } from './icons.ts'
import type { Page, View } from './page.ts'
import { actions, card, noticeBox, noticeOf, outside, reportArea, roleChips } from './parts.ts'
import { showPlace } from './place.ts'
import { signalUnknown } from './signal.ts'
import { stepUpView } from './step-up-view.ts'
import { runTask, type TaskContext } from './task.ts'

/** Enrolling, or what is needed first. */
export function enrolView(page: Page, person: PersonView): View {
  if (!person.enrol.allowed) return stepUpView(page, person)
  const hindrance = obstacle()
  const context: TaskContext = { page, place: { kind: 'enrol' }, area: reportArea() }
  const body = hindrance === null ? enrolForm(context, person) : noticeBox(noticeOf({ code: hindrance, check: null, waitSeconds: null }))
  return {
    heading: 'Enrol this device',
    body: [
      el('p', { class: 'lead' }, 'It gets a passkey of its own. From then on a tap is all that you need.'),
      card(purposes(person), body, context.area),
    ],
  }
}

function purposes({ handle, roles }: PersonView): HTMLElement {
  const names = roles.filter(({ known }) => known).map(({ name }) => name)
  return el(
    'section',
    { class: 'purposes', 'aria-labelledby': 'purposes' },
    el('h2', { id: 'purposes' }, 'What it will be used for'),
    el(
      'ul',
      { class: 'plain' },
      el(
        'li',
        {},
        'connecting to NATS as ',
        el('strong', {}, outside(handle)),
        names.length > 0 ? ' with the roles' : '',
        names.length > 0 ? roleChips(names) : null,
      ),
      el('li', {}, 'signing your terminals in, when you approve it'),
      el('li', {}, 'signing in to this page'),
    ),
  )
}

function enrolForm(context: TaskContext, person: PersonView): HTMLElement {
  const suggested = freeName(
    platformName(navigator.userAgent, navigator.maxTouchPoints),
    person.devices.map(({ name }) => name),
  )
  const field = textField({ label: 'Name of the device', value: suggested, maxLength: nameCharsMax, problemOf: nameProblem })
  const submit = el('button', { type: 'submit', class: 'primary' }, 'Make the passkey')
  const form = el(
    'form',
    { class: 'enrol-form', novalidate: true },
    el('div', { class: 'field' }, field.label, field.input, field.problem),
    el('p', { class: 'hint' }, 'Your browser asks twice: once to make the passkey, once to show that it works.'),
    actions(
      submit,
      button('Not now', { class: 'quiet' }, () => context.page.go({ kind: 'home' })),
    ),
  )
  // A registration that waits for its second tap: that alone is done again.
  let waiting: Waiting | null = null
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const name = field.value()
    if (name === null) return
    void runTask(submit, context, async () => {
      const registered = waiting === null ? await register(name, context.page) : done(waiting)
      if (!registered.ok) return mendable(registered.failure, context)
      waiting = registered.value
      const { failure, again } = await activate(waiting, context.page)
      if (!again) waiting = null
      field.input.readOnly = again
      submit.textContent = again ? 'Tap once more' : 'Make the passkey'
      return failure
    })
  })
  return form
}

/** A passkey that is registered and has not signed yet. */
interface Waiting {
  credential: string
  ceremony: string
  options: Parameters<typeof signWithPasskey>[0]
}

async function register(name: string, page: Page): Promise<Outcome<Waiting>> {
  const begun = await call('/v1/devices/begin', {})
  if (!begun.ok) return begun
  const made = await makePasskey(begun.value.options)
  if (!made.ok) return made
  const registered = await call('/v1/devices/register', { ceremony: begun.value.ceremony, name, response: made.value })
  if (registered.ok) return done({ credential: made.value.id, ...registered.value })
  await discard(made.value.id, registered.failure, page)
  return registered
}

/** The first assertion. `again`: nothing was sent yet, so that the same one can be tried once more. */
async function activate({ credential, ceremony, options }: Waiting, page: Page): Promise<{ failure: Failure | null; again: boolean }> {
  const signed = await signWithPasskey(options)
  if (!signed.ok) return { failure: signed.failure, again: true }
  const activated = await call('/v1/devices/activate', { ceremony, response: signed.value })
  if (!activated.ok) {
    await discard(credential, activated.failure, page)
    return { failure: activated.failure, again: false }
  }
  const { person, device } = activated.value
  page.person = person
  // A reload does not begin again what is done.
  showPlace(page.next ?? { kind: 'home' })
  page.show(enrolledView(page, device))
  return { failure: null, again: false }
}

/** A passkey that the service refused is of no use: the browser may forget it. Not after a failure that says nothing of it. */
async function discard(credential: string, { code }: Failure, { info }: Page): Promise<void> {
  if (code !== 'network' && code !== 'unavailable' && code !== 'internal') await signalUnknown(credential, info.rpId)
}

/** What is needed first may have changed since the page was told: then it is asked again, and shown. */
async function mendable(failure: Failure, { page }: TaskContext): Promise<Failure | null> {
  if (failure.code !== 'step_up_required' && failure.code !== 'devices_full') return failure
  const told = await call('/v1/me', {})
  if (!told.ok || told.value.person.enrol.allowed) return failure
  page.person = told.value.person
  page.go({ kind: 'enrol' }, noticeOf(failure))
  return null
}

function enrolledView(page: Page, device: DeviceView): View {
  const { next } = page
  const onwards =
    next === null
      ? button('See your devices', { class: 'primary' }, () => page.go({ kind: 'home' }))
      : button('Go on to the terminal', { class: 'primary' }, () => {
          page.go(next)
        })
  return {
    heading: 'This device is enrolled',
    body: [
      el('p', { class: 'lead' }, 'The passkey works: it has just signed for the first time.'),
      el(
        'div',
        { class: 'card device' },
        el('div', { class: 'device-head' }, icon(device.synced ? 'cloud' : 'chip'), el('h2', {}, outside(device.name))),
        deviceFacts(device),
        roleList(device, page.person),
        actions(onwards),
      ),
    ],
  }
}
