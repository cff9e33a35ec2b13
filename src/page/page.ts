/** The page as its views see it: who is signed in, where to go, what to say aloud. */
import type { PersonView } from '../core/people/people.ts'
import type { PageInfo } from './api.ts'
import { elementOf } from './dom.ts'
import type { Place } from './place.ts'

/** Something to say at the top of the next view. */
export interface Notice {
  tone: 'good' | 'bad'
  title: string
  text: string
}

export interface View {
  /** Of the view, and of the tab. */
  heading: string
  body: Node[]
  /** Runs once it is on screen. `gone` is aborted when another view takes its place. */
  shown?: (gone: AbortSignal) => void
  /** Id of the element that gets the focus; the heading by default. */
  focus?: string
}

export interface Page {
  readonly info: PageInfo
  person: PersonView | null
  /** Where to go on after a device is enrolled, when something else led there. */
  next: Place | null
  /** Goes to a place, over signing in when that is needed. `focus`: id of the element that gets the focus. */
  go(place: Place, notice?: Notice | null, focus?: string): void
  /** Asks who is signed in and what they have, and goes home. */
  refresh(): Promise<void>
  /** Shows a view at the present place. */
  show(view: View, notice?: Notice | null): void
}

/** Says `text` to screen readers, whatever has the focus. */
export function announce(text: string): void {
  const status = elementOf('status')
  // The same words twice are a change only when there was something else between.
  status.textContent = ''
  requestAnimationFrame(() => {
    status.textContent = text
  })
}
