/** Starts the page: who is signed in, where in the page the address leads, and then that view. */
import type { PersonView } from '../core/people/people.ts'
import { call, type PageInfo, readPageInfo } from './api.ts'
import { endCeremony } from './ceremony.ts'
import { codeView } from './code-view.ts'
import { button, el, elementOf } from './dom.ts'
import { endorseView, enrolFirstView } from './endorse-view.ts'
import { enrolView } from './enrol-view.ts'
import { errorView } from './error-view.ts'
import type { Failure } from './failure.ts'
import { homeView } from './home-view.ts'
import type { Notice, Page, View } from './page.ts'
import { noticeBox, noticeOf, outside } from './parts.ts'
import { nextPlace, type Place, showPlace, takeKeptPlace, takePlace } from './place.ts'
import { invitationView, signInView, signOut } from './sign-in-view.ts'

const HOME: Place = { kind: 'home' }
// The service's clock is the one that counts; a moment later both agree.
const expiryGraceMs = 2_000
const main = elementOf('main')
let present = new AbortController()

class SelfService implements Page {
  readonly info: PageInfo
  person: PersonView | null
  next: Place | null = null
  #place: Place = HOME
  #expiry: ReturnType<typeof setTimeout> | undefined

  constructor(info: PageInfo, person: PersonView | null) {
    this.info = info
    this.person = person
  }

  go(place: Place, notice: Notice | null = null, focus?: string): void {
    this.#place = place
    if (place.kind !== 'enrol') this.next = null
    showPlace(place, this.next)
    if (place.kind === 'session') {
      void this.lookUp(place, notice)
      return
    }
    const view = this.viewOf(place)
    this.show(focus === undefined ? view : { ...view, focus }, notice)
  }

  show(view: View, notice: Notice | null = null): void {
    showWho(this)
    display(view, notice)
    clearTimeout(this.#expiry)
    if (this.person !== null) this.#expiry = setTimeout(() => void this.notice(), this.person.loginExpiresAt - Date.now() + expiryGraceMs)
  }

  /** The login may have ended or changed without this tab: by time, in another tab, or while the page was put away. */
  async notice(): Promise<void> {
    const before = this.person
    const told = await call('/v1/me', {})
    if (!told.ok && told.failure.code !== 'login_required') return
    const after = told.ok ? told.value.person : null
    // Signed in or out here meanwhile: then this answer is of the past.
    if (this.person !== before || after?.handle === before?.handle) return
    this.person = after
    this.next = null
    if (!told.ok) this.go(this.#place, noticeOf(told.failure))
    else if (before === null) this.go(this.#place)
    else
      this.go(HOME, { tone: 'bad', title: `You are now signed in as ${told.value.person.handle}`, text: 'That was done in another tab.' })
  }

  async refresh(): Promise<void> {
    const told = await call('/v1/me', {})
    if (told.ok) this.person = told.value.person
    else if (told.failure.code === 'login_required') this.person = null
    this.go(HOME, told.ok ? null : noticeOf(told.failure))
  }

  private viewOf(place: Exclude<Place, { kind: 'session' }>): View {
    const { person } = this
    if (place.kind === 'ticket') return invitationView(this, place.ticket)
    if (place.kind === 'error') return errorView(this, { code: place.code, check: null, waitSeconds: null }, HOME)
    if (person === null) return signInView(this, place)
    switch (place.kind) {
      case 'home':
        return homeView(this, person, Date.now())
      case 'enrol':
        return enrolView(this, person)
      case 'code':
        return person.devices.length === 0 ? enrolFirstView(this, place) : codeView(this, person)
    }
  }

  /** A terminal's request is looked up first; only a person who is signed in is told of it. */
  private async lookUp(place: Place & { kind: 'session' }, notice: Notice | null): Promise<void> {
    const { person } = this
    if (person === null) return this.show(signInView(this, place), notice)
    if (person.devices.length === 0) return this.show(enrolFirstView(this, place), notice)
    present.abort()
    present = new AbortController()
    const { signal } = present
    const shown = await call('/v1/session/show', { request: place.request })
    if (signal.aborted) return
    if (shown.ok) return this.show(endorseView(this, { person, session: shown.value.session, place }), notice)
    this.failed(shown.failure, place)
  }

  private failed(failure: Failure, place: Place): void {
    if (failure.code === 'login_required') {
      this.person = null
      this.go(place, noticeOf(failure))
      return
    }
    const gone = failure.code !== 'network' && failure.code !== 'unavailable' && failure.code !== 'rate_limited'
    if (gone) showPlace(HOME)
    this.show(errorView(this, failure, gone ? HOME : place))
  }
}

/** Puts a view on screen, its heading under the reader's eyes and ears. */
function display(view: View, notice: Notice | null): void {
  present.abort()
  present = new AbortController()
  // What was asked in the view before is asked no more.
  endCeremony()
  for (const dialog of document.querySelectorAll('dialog')) dialog.close()
  const heading = el('h1', { tabindex: -1 }, view.heading)
  const box = notice === null ? null : el('div', { role: notice.tone === 'good' ? 'status' : 'alert' }, noticeBox(notice))
  main.replaceChildren(heading, ...(box === null ? [] : [box]), ...view.body)
  document.title = `${view.heading} · NATS access`
  const target = view.focus === undefined ? heading : (document.getElementById(view.focus) ?? heading)
  target.focus({ preventScroll: target === heading })
  if (target === heading) window.scrollTo(0, 0)
  view.shown?.(present.signal)
}

function showWho(page: Page): void {
  const { person } = page
  const who = elementOf('who')
  who.replaceChildren()
  if (person === null) return
  who.append(
    el('span', { class: 'name' }, outside(person.displayName === '' ? person.handle : person.displayName)),
    button('Sign out', { class: 'quiet' }, () => void signOut(page)),
  )
}

async function start(): Promise<void> {
  // First of all: a ticket is out of the address before anything else happens.
  let place = takePlace()
  const kept = takeKeptPlace(Date.now())
  const [info, me] = await Promise.all([readPageInfo(), call('/v1/me', {})])
  if (!info.ok) return display(unreachableView(info.failure), null)
  const { rpId, ...rest } = info.value
  if (rpId === null) return display(unreachableView({ code: 'person_enrolment_unavailable', check: null, waitSeconds: null }), null)
  const page = new SelfService({ ...rest, rpId }, me.ok ? me.value.person : null)
  if (place.kind === 'home' && kept !== null) place = kept
  page.next = nextPlace()
  // Back from the identity provider without a login: trying again leads to where the person wanted to go.
  if (place.kind === 'error') page.show(errorView(page, { code: place.code, check: null, waitSeconds: null }, kept ?? HOME))
  else page.go(place, me.ok || me.failure.code === 'login_required' ? null : noticeOf(me.failure))
  // Back, Forward, and a link that is opened in this tab while the page is here: they load nothing.
  window.addEventListener('popstate', () => {
    page.next = nextPlace()
    page.go(takePlace())
  })
  document.addEventListener('visibilitychange', () => void (document.visibilityState === 'visible' && page.notice()))
  window.addEventListener('pageshow', ({ persisted }) => void (persisted && page.notice()))
}

function unreachableView(failure: Failure): View {
  const { title, text } = noticeOf(failure)
  return { heading: title, body: [el('p', { class: 'lead' }, text), button('Try again', { class: 'primary' }, () => location.reload())] }
}

void start()
