/** How the page looks and reads in every view: nothing cut off, everything legible, everything named. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Page } from 'playwright-core'
import { startChromium, type TestBrowser } from '../support/chromium.ts'
import type { StubState } from '../support/page-stub.ts'
import { deviceView, personView, requestView, sessionView } from '../support/page-views.ts'
import { assertClean, type Visit, visit } from '../support/page-visit.ts'

let browser: TestBrowser
before(async () => {
  browser = await startChromium()
})
after(() => browser.close())

// As long as anything may be, in one word.
const long = 'W'.repeat(64)
const device = deviceView({
  name: long,
  state: 'quarantined',
  current: true,
  synced: true,
  roles: [{ name: long, unmet: ['approval', 'device_bound', 'aaguids'] }],
})
const crowded = personView({
  displayName: long,
  roles: [
    { name: long, source: 'idp', asOf: 0, stale: true, known: true },
    { name: 'gone', source: 'assigned', asOf: 0, stale: false, known: false },
  ],
  devices: [device, deviceView()],
  sessions: [sessionView({ label: long, byCode: true, device: { id: device.id, name: long } }), sessionView({ plain: false })],
})
const request = requestView({ host: long, roles: [long, 'orders-reader'], account: long as never })

interface Look {
  heading: string
  state?: Partial<StubState>
  fragment?: string
  before?: (page: Page) => Promise<unknown>
  prepare?: (tab: Visit) => Promise<unknown>
}

const unsupported = (page: Page) => page.addInitScript('delete window.PublicKeyCredential')
const field = (page: Page) =>
  page.addInitScript(`
    PublicKeyCredential.isConditionalMediationAvailable = async () => true
    navigator.credentials.get = () => new Promise(() => {})
  `)

const LOOKS: Record<string, Look> = {
  'signed out': {
    heading: 'Sign in',
    state: {
      providers: [
        { name: 'a', label: long },
        { name: 'b', label: 'Example Corp' },
      ],
    },
    before: field,
  },
  'signed out, a browser without passkeys': { heading: 'Sign in', before: unsupported },
  'signing in failed': {
    heading: 'Sign in',
    prepare: async ({ stub, press, page }) => {
      stub.refuseNext('/v1/login/idp', { status: 503, code: 'provider_unavailable', check: 'discovery' })
      await press('Continue with Example Corp')
      await page.getByRole('alert').getByText('Your identity provider does not answer').waitFor()
    },
  },
  invitation: { heading: 'You are invited', state: { signedIn: true, person: crowded }, fragment: '#ticket=t' },
  'home of a newcomer': { heading: 'Your access', state: { signedIn: true } },
  'home with everything': { heading: 'Your access', state: { signedIn: true, person: crowded } },
  renaming: {
    heading: 'Your access',
    state: { signedIn: true, person: crowded },
    prepare: async ({ press, page }) => {
      await press(`Rename ${long}`)
      await page.getByRole('dialog').getByLabel('Name').fill('')
      await press('Save')
    },
  },
  removing: { heading: 'Your access', state: { signedIn: true, person: crowded }, prepare: ({ press }) => press(`Remove ${long}`) },
  removed: {
    heading: 'Your access',
    state: { signedIn: true, person: crowded },
    prepare: async ({ press, page }) => {
      await press(`Remove ${long}`)
      await press('Remove')
      await page.getByText('was removed').waitFor()
    },
  },
  enrolling: { heading: 'Enrol this device', state: { signedIn: true, person: crowded }, fragment: '#enrol' },
  'stepping up': {
    heading: 'Show that it is you',
    state: { signedIn: true, person: { ...crowded, enrol: { allowed: false, needs: 'fresh_login_or_tap' } } },
    fragment: '#enrol',
  },
  enrolled: {
    heading: 'This device is enrolled',
    state: { signedIn: true },
    fragment: '#enrol',
    prepare: async ({ authenticator, press, view }) => {
      await view('Enrol this device')
      await authenticator()
      await press('Make the passkey')
    },
  },
  'a terminal': {
    heading: 'A terminal asks to sign in as you',
    state: { signedIn: true, person: crowded, request },
    fragment: `#session=${request.request}`,
  },
  'a code': { heading: 'Sign a terminal in', state: { signedIn: true, person: crowded }, fragment: '#code' },
  'a terminal by code': {
    heading: 'A terminal asks to sign in as you',
    state: { signedIn: true, person: crowded, request: { ...request, flow: 'code' } },
    fragment: '#code',
    prepare: async ({ page, press }) => {
      await page.getByLabel('Code from your terminal').fill('kxtbwqrm')
      await press('Go on')
    },
  },
  'an error': { heading: 'You have no role here yet', fragment: '#error=roles_none' },
}

const SCREENS = [
  { colorScheme: 'light', viewport: { width: 360, height: 640 } },
  { colorScheme: 'dark', viewport: { width: 360, height: 640 } },
  { colorScheme: 'light', viewport: { width: 1280, height: 800 } },
] as const

for (const [name, look] of Object.entries(LOOKS)) {
  test(`${name}: fits, is legible and is named in both schemes and on a phone`, async (t) => {
    const { state, fragment = '', before: prepareBrowser } = look
    const options = {
      fragment,
      ...(state === undefined ? {} : { state: structuredClone(state) }),
      ...(prepareBrowser === undefined ? {} : { before: prepareBrowser }),
    }
    const tab = await visit(t, browser, { ...options, settings: SCREENS[0] })
    await look.prepare?.(tab)
    await tab.view(look.heading)
    for (const { colorScheme, viewport } of SCREENS) {
      await tab.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      await tab.page.setViewportSize(viewport)
      const screen = `${colorScheme}, ${viewport.width}`
      assert.deepEqual(await tab.page.evaluate(overflowing), [], screen)
      assert.deepEqual(await tab.page.evaluate(illegible), [], screen)
    }
    // Text at 200 %, which is also what a browser zoom of 200 % leaves of a width of 720.
    await tab.page.setViewportSize({ width: 720, height: 800 })
    await tab.page.evaluate(() => document.documentElement.style.setProperty('font-size', '200%'))
    assert.deepEqual(await tab.page.evaluate(overflowing), [], 'text at 200 %')
    assert.deepEqual(await tab.page.evaluate(unnamed), [])
    assertClean(tab)
  })
}

test('where motion is unwelcome, nothing moves', async (t) => {
  const tab = await visit(t, browser, { settings: { reducedMotion: 'reduce' } })
  await tab.view('Sign in')
  const moving = await tab.page.evaluate(() => {
    const busy = document.querySelector('main button')
    busy?.setAttribute('aria-busy', 'true')
    return busy === null ? ['no button'] : [getComputedStyle(busy, '::after').animationName, getComputedStyle(busy).transitionDuration]
  })
  assert.deepEqual(moving, ['none', '0s'])
})

/** Elements that reach out of the page's width, or hold text that is cut off. In the browser. */
function overflowing(): string[] {
  const width = document.documentElement.clientWidth
  const found = document.documentElement.scrollWidth > width ? ['the page scrolls sideways'] : []
  for (const element of document.querySelectorAll('body *')) {
    const box = element.getBoundingClientRect()
    // The name in the header is shortened on purpose: what it names is in full in the view.
    if (box.width === 0 || element.closest('.unseen, svg, header .name')) continue
    if (box.right > width + 0.5 || box.left < -0.5)
      found.push(`${element.tagName}.${element.className} from ${box.left} to ${box.right} of ${width}`)
    const isCut = element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).overflowX !== 'visible'
    if (isCut && element.tagName !== 'INPUT' && !element.classList.contains('name'))
      found.push(`${element.tagName}.${element.className} is cut off`)
  }
  return found
}

/** Texts whose contrast with what is behind them is below 4.5 (WCAG 2.2, 1.4.3). In the browser. */
function illegible(): string[] {
  const found: string[] = []
  for (const element of document.querySelectorAll('body *')) {
    const isText = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim() !== '')
    if ((!isText && element.tagName !== 'INPUT') || element.closest('.unseen, .skip, noscript')) continue
    if (element.getClientRects().length === 0) continue
    let ground: Element | null = element
    while (ground !== null && /, 0\)$|^transparent$/.test(getComputedStyle(ground).backgroundColor)) ground = ground.parentElement
    const colors = [getComputedStyle(element).color, getComputedStyle(ground ?? document.documentElement).backgroundColor]
    const [ink = 0, paper = 0] = colors.map((color) => {
      const [r = 0, g = 0, b = 0] = (color.match(/[\d.]+/g) ?? []).map((part) => {
        const value = Number(part) / 255
        return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
      })
      return 0.2126 * r + 0.7152 * g + 0.0722 * b
    })
    const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05)
    if (contrast < 4.5)
      found.push(`${element.tagName}.${element.className} “${element.textContent?.slice(0, 30)}” has ${contrast.toFixed(2)}`)
  }
  return found
}

/** What a screen reader could not name or find: controls without names, doubled ids, headings that skip a level. In the browser. */
function unnamed(): string[] {
  const found: string[] = []
  for (const control of document.querySelectorAll('button, a[href]')) {
    if (!control.getAttribute('aria-label') && !control.textContent?.trim()) found.push(`${control.tagName} has no name`)
  }
  for (const input of document.querySelectorAll('input')) if (input.labels?.length !== 1) found.push('a field has no label')
  const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id)
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push(`id ${id} is there twice`)
  for (const element of document.querySelectorAll('[aria-labelledby], [aria-describedby]')) {
    const of = `${element.getAttribute('aria-labelledby') ?? ''} ${element.getAttribute('aria-describedby') ?? ''}`.trim().split(/\s+/)
    for (const id of of) if (document.getElementById(id) === null) found.push(`nothing has the id ${id}`)
  }
  let level = 0
  for (const heading of document.querySelectorAll('main h1, main h2, main h3')) {
    const own = Number(heading.tagName.slice(1))
    if (own > level + 1) found.push(`a heading of level ${own} after one of ${level}`)
    level = own
  }
  for (const landmark of ['header', 'main', 'footer'])
    if (document.querySelectorAll(landmark).length !== 1) found.push(`no single ${landmark}`)
  if (document.documentElement.lang === '') found.push('no language')
  return found
}
