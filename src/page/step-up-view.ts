/** What is needed before a device can be added: room, a fresh login, or a tap of one that is enrolled. */
import type { PersonView } from '../core/people/people.ts'
import { button, el } from './dom.ts'
import type { Failure } from './failure.ts'
import type { Page, View } from './page.ts'
import { actions, card, iconLabel, outside, reportArea } from './parts.ts'
import { leaveForProvider, signInWithPasskey } from './sign-in.ts'
import { type TaskContext, taskButton } from './task.ts'

/** The way to what is missing. */
export function stepUpView(page: Page, person: PersonView): View {
  const { needs } = person.enrol
  const context: TaskContext = { page, place: { kind: 'enrol' }, area: reportArea() }
  const back = button('Back to your access', { class: 'quiet' }, () => page.go({ kind: 'home' }))
  if (needs === 'room') {
    return {
      heading: 'You have as many devices as you may',
      body: [
        card(el('p', {}, `You may have ${person.devicesMax}. Remove one that you no longer use, then enrol this one.`), actions(back)),
      ],
    }
  }
  const ways: HTMLElement[] = []
  if (needs !== 'tap') ways.push(...againButtons(person, context, { fresh: true }))
  if (needs !== 'fresh_login' && person.devices.length > 0) {
    ways.push(
      taskButton(
        iconLabel('key', 'Tap a device you enrolled'),
        { class: ways.length === 0 ? 'primary wide' : 'secondary wide' },
        context,
        () => tapAgain(context, person),
      ),
    )
  }
  return {
    heading: 'Show that it is you',
    body: [
      el('p', { class: 'lead' }, wordsOf(needs)),
      card(
        ways.length > 0
          ? el('div', {}, ...ways)
          : el('p', {}, 'There is no way to do that here. Ask your administrator for a new invitation.'),
        context.area,
        actions(back),
      ),
    ],
  }
}

function wordsOf(needs: PersonView['enrol']['needs']): string {
  if (needs === 'tap')
    return 'Your organisation adds a device only after a tap of one that you enrolled before. That one may be a phone or a security key.'
  if (needs === 'fresh_login') return 'You signed in a while ago. Sign in once more, and you come back here.'
  return 'You signed in a while ago. Sign in once more, or tap a device that you enrolled before.'
}

/** The providers where this person can sign in again: the one they came from; all of them when they came another way. */
export function ownProviders({ info }: Page, { provider }: PersonView): Page['info']['providers'] {
  return info.providers.filter(({ name }) => provider === null || name === provider)
}

/** Signing in again, at each of those. `fresh`: the person has to authenticate there once more. */
export function againButtons(person: PersonView, context: TaskContext, { fresh }: { fresh: boolean }): HTMLElement[] {
  const { page, place } = context
  return ownProviders(page, person).map(({ name, label }, index) =>
    taskButton(
      el('span', {}, 'Sign in again with ', outside(label)),
      { class: index === 0 ? 'primary wide' : 'secondary wide' },
      context,
      () => leaveForProvider(page, { provider: name, fresh, place }),
    ),
  )
}

async function tapAgain({ page }: TaskContext, before: PersonView): Promise<Failure | null> {
  const failure = await signInWithPasskey(page)
  if (failure !== null) return failure
  const handle = page.person?.handle ?? ''
  // The passkey may be somebody else's: then this is another login, and no place to add a device unasked.
  if (handle === before.handle) page.go({ kind: 'enrol' })
  else
    page.go(
      { kind: 'home' },
      { tone: 'bad', title: `You are now signed in as ${handle}`, text: `The passkey you tapped is theirs, not that of ${before.handle}.` },
    )
  return null
}
