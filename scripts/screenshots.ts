/** Makes docs/images: the page in headless Chromium, over a stub of the HTTP API with an invented person. */
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { startChromium, type TestBrowser, type TestPage } from '../test/support/chromium.ts'
import { type PageStub, type StubState, startPageStub } from '../test/support/page-stub.ts'
import { deviceView, personView, requestView, sessionView } from '../test/support/page-views.ts'

const target = fileURLToPath(new URL('../docs/images/', import.meta.url))
const imageBytesMax = 150 * 1024

interface Shot {
  name: string
  colorScheme: 'light' | 'dark'
  /** CSS pixels. */
  width: number
  /** The whole page, or a screen of this many pixels. */
  height: number | 'all'
  state: Partial<StubState>
  fragment: string
  /** Heading that shows that the view is there. */
  heading: string
  prepare?: (open: TestPage) => Promise<void>
}

const roles = (names: string[]) => names.map((name) => ({ name, source: 'idp' as const, asOf: Date.now(), stale: false, known: true }))
const laptop = deviceView({
  name: 'Work laptop',
  current: true,
  roles: [
    { name: 'orders-reader', unmet: [] },
    { name: 'payments-admin', unmet: ['approval'] },
  ],
})
const phone = deviceView({
  name: 'Phone',
  aaguid: 'fbfc3007-154e-4ecc-8c0b-6e020557d7bd',
  synced: true,
  backedUp: true,
  createdAt: Date.UTC(2026, 8, 14),
  roles: [
    { name: 'orders-reader', unmet: [] },
    { name: 'payments-admin', unmet: ['device_bound', 'approval'] },
  ],
})
const alice = personView({
  roles: roles(['orders-reader', 'payments-admin']),
  devices: [laptop, phone],
  sessions: [
    sessionView({ device: { id: laptop.id, name: laptop.name } }),
    sessionView({ label: 'Orders dashboard', plain: false, device: { id: phone.id, name: phone.name } }),
  ],
})
const newcomer = personView({ roles: roles(['orders-reader']) })

const SHOTS: readonly Shot[] = [
  { name: 'sign-in', colorScheme: 'light', width: 900, height: 'all', state: {}, fragment: '', heading: 'Sign in' },
  {
    name: 'enrol',
    colorScheme: 'light',
    width: 900,
    height: 'all',
    state: { signedIn: true, person: newcomer },
    fragment: '#enrol',
    heading: 'Enrol this device',
  },
  {
    name: 'enrolled',
    colorScheme: 'dark',
    width: 900,
    height: 'all',
    state: { signedIn: true, person: newcomer },
    fragment: '#enrol',
    heading: 'This device is enrolled',
    prepare: async ({ page, authenticator }) => {
      await authenticator({ backupEligible: true, backupState: true })
      await page.getByRole('button', { name: 'Make the passkey' }).click()
    },
  },
  {
    name: 'devices',
    colorScheme: 'light',
    width: 900,
    height: 'all',
    state: { signedIn: true, person: alice },
    fragment: '',
    heading: 'Your access',
  },
  {
    name: 'devices-dark',
    colorScheme: 'dark',
    width: 900,
    height: 'all',
    state: { signedIn: true, person: alice },
    fragment: '',
    heading: 'Your access',
  },
  {
    name: 'terminal',
    colorScheme: 'light',
    width: 900,
    height: 'all',
    state: { signedIn: true, person: alice, request: requestView() },
    fragment: `#session=${'r'.repeat(43)}`,
    heading: 'A terminal asks to sign in as you',
  },
  {
    name: 'terminal-phone',
    colorScheme: 'dark',
    width: 360,
    height: 'all',
    state: { signedIn: true, person: alice, request: requestView({ flow: 'code' }) },
    fragment: '#code',
    heading: 'A terminal asks to sign in as you',
    prepare: async ({ page }) => {
      await page.getByLabel('Code from your terminal').fill('kxtb wqrm')
      await page.getByRole('button', { name: 'Go on' }).click()
    },
  },
  {
    name: 'error',
    colorScheme: 'light',
    width: 900,
    height: 'all',
    state: {},
    fragment: '#error=groups_overage',
    heading: 'You are in too many groups',
  },
]

async function shoot(browser: TestBrowser, shot: Shot, dir: string): Promise<void> {
  const stub: PageStub = await startPageStub(structuredClone(shot.state))
  const settings = {
    viewport: { width: shot.width, height: 600 },
    colorScheme: shot.colorScheme,
    deviceScaleFactor: 1,
    reducedMotion: 'reduce',
  } as const
  const open = await browser.open({ settings })
  try {
    await open.page.goto(`${stub.origin}/${shot.fragment}`)
    await open.page.waitForLoadState('networkidle')
    await shot.prepare?.(open)
    await open.page.getByRole('heading', { level: 1, name: shot.heading }).waitFor()
    await open.page.screenshot({ path: `${dir}${shot.name}.png`, fullPage: shot.height === 'all', animations: 'disabled' })
  } finally {
    await open.close()
    await stub.close()
  }
  const { length } = readFileSync(`${dir}${shot.name}.png`)
  if (length > imageBytesMax) throw new Error(`${shot.name}.png has ${length} bytes, more than ${imageBytesMax}`)
}

rmSync(target, { recursive: true, force: true })
mkdirSync(target, { recursive: true })
const browser = await startChromium()
try {
  for (const shot of SHOTS) await shoot(browser, shot, target)
} finally {
  await browser.close()
}
