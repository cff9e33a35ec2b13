/** What did not work on the way here, and the way on. */

import { button, el } from './dom.ts'
import type { Failure } from './failure.ts'
import type { Page, View } from './page.ts'
import { actions, card } from './parts.ts'
import type { Place } from './place.ts'
import { wordsFor } from './words.ts'

/** A failure that has no view of its own. `place`: where trying again leads. */
export function errorView(page: Page, failure: Failure, place: Place): View {
  const { title, text } = wordsFor(failure)
  const onwards = page.person === null ? 'Sign in' : 'Go to your access'
  return {
    heading: title,
    body: [
      card(
        el('p', {}, text),
        actions(button(place.kind === 'home' ? onwards : 'Try again', { class: 'primary' }, () => page.go(place))),
        el('p', { class: 'detail' }, 'For your administrator: ', el('code', {}, failure.code)),
      ),
    ],
  }
}
