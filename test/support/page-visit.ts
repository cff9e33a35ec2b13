/** A browser tab with the page over its stub: what tests of the page start from. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { BrowserContextOptions, Page } from 'playwright-core'
import type { TestBrowser, TestPage } from './chromium.ts'
import { type PageStub, type StubState, startPageStub } from './page-stub.ts'

export interface Visit extends TestPage {
  stub: PageStub
  /** Addresses the page asked for, of whatever origin. */
  asked: string[]
  /** Waits for the view with this heading. */
  view(heading: string): Promise<void>
  press(button: string): Promise<void>
  /** Goes to a place of the page as a link would. */
  open(fragment: string): Promise<void>
}

export interface VisitOptions {
  state?: Partial<StubState>
  fragment?: string
  settings?: BrowserContextOptions
  /** Runs in the browser before the page's own script. */
  before?: (page: Page) => Promise<unknown>
}

/** Opens the page. Everything is closed after the test, which fails on a console error, a policy violation or a foreign request. */
export async function visit(t: TestContext, browser: TestBrowser, options: VisitOptions = {}): Promise<Visit> {
  const stub = await startPageStub(options.state)
  const settings = { reducedMotion: 'reduce' as const, ...options.settings }
  const tab = await browser.open({ settings })
  const { page } = tab
  const asked: string[] = []
  page.on('request', (request) => asked.push(request.url()))
  t.after(async () => {
    await tab.close()
    await stub.close()
  })
  await options.before?.(page)
  await page.goto(`${stub.origin}/${options.fragment ?? ''}`)
  return {
    ...tab,
    stub,
    asked,
    view: (heading) => page.getByRole('heading', { level: 1, name: heading, exact: true }).waitFor(),
    press: (button) => page.getByRole('button', { name: button, exact: true }).click(),
    open: async (fragment) => {
      await page.evaluate((hash) => {
        location.hash = hash
      }, fragment)
    },
  }
}

/** What no visit may leave behind: errors on the console (violations of the policy among them), or a request to anywhere else. */
export function assertClean({ problems, asked, stub }: Visit): void {
  // A refusal is an answer; Chromium writes a line about each.
  const real = problems.filter((line) => !line.startsWith('Failed to load resource: '))
  assert.deepEqual(real, [])
  assert.deepEqual(
    asked.filter((url) => !url.startsWith(`${stub.origin}/`)),
    [],
  )
}
