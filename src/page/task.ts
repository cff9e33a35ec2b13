/** Work behind a button: once at a time, visibly busy, with its failure in words beside it. */
import { button, type Child } from './dom.ts'
import type { Failure } from './failure.ts'
import type { Page } from './page.ts'
import { noticeOf, report } from './parts.ts'
import type { Place } from './place.ts'

export interface TaskContext {
  page: Page
  /** Where to come back to when the login turns out to be over. */
  place: Place
  /** Where failures are shown. */
  area: HTMLElement
}

/** A button that does `work`; null from it means that all went well. */
export function taskButton(
  label: Child,
  attributes: Readonly<Record<string, string | boolean>>,
  context: TaskContext,
  work: () => Promise<Failure | null>,
): HTMLButtonElement {
  const pressed: HTMLButtonElement = button(label, attributes, () => void runTask(pressed, context, work))
  return pressed
}

/** Runs `work` for `element`, unless it is running. */
export async function runTask(element: HTMLElement, context: TaskContext, work: () => Promise<Failure | null>): Promise<void> {
  // Not `disabled`: that would take the focus away from whoever pressed it.
  if (element.getAttribute('aria-busy') === 'true') return
  element.setAttribute('aria-busy', 'true')
  context.area.replaceChildren()
  const failure = await work().catch(unexpected)
  element.removeAttribute('aria-busy')
  if (failure !== null) tell(context, failure)
}

/** Shows a failure where it belongs: one that only signing in can mend leads there. */
export function tell({ page, place, area }: TaskContext, failure: Failure): void {
  if (failure.code !== 'login_required' || page.person === null) {
    report(area, failure)
    return
  }
  page.person = null
  page.go(place, noticeOf(failure))
}

function unexpected(error: unknown): Failure {
  // Nothing of the person's is in it: what is thrown here is a mistake of the page.
  reportError(error)
  return { code: 'unexpected', check: null, waitSeconds: null }
}
