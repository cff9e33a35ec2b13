/** A person's page, the SDK in it, a virtual authenticator, and the whole product behind: for tests of the browser SDK. */

import type { NatsServerLine } from '../../scripts/nats-server.ts'
import type { PasskeyRequest } from '../../src/browser/index.ts'
import { type AuthenticatorOptions, startChromium, type TestBrowser, type TestPage, type VirtualAuthenticator } from './chromium.ts'
import { type EnrolOptions, PERSON, type Product, startProduct, type TestIdentity } from './product.ts'
import type { Outcome, TapPolicy } from './sdk-page/main.ts'
import { type SdkSite, startSdkSite } from './sdk-page.ts'

export interface SdkJourney {
  product: Product
  site: SdkSite
  browser: TestBrowser
  /** Enrols a person, and opens a page with their authenticator. */
  person(handle: string, options?: PersonOptions): Promise<Person>
  stop(): Promise<void>
}

export interface PersonOptions {
  enrol?: EnrolOptions
  authenticator?: AuthenticatorOptions
  /** Another site than that of the journey. */
  origin?: string
}

export interface Person {
  identity: TestIdentity
  tab: TestPage
  authenticator: VirtualAuthenticator
  /** `connectWithPasskey` in the page. */
  connect(name: string, options?: { request?: Partial<PasskeyRequest>; policy?: TapPolicy }): Promise<Outcome>
  publish(name: string, subject: string, text: string): Promise<void>
  subscribe(name: string, subject: string): Promise<void>
  close(name: string): Promise<void>
  reconnect(name: string): Promise<void>
  /** Resolves when the page has seen `event`. */
  sees(event: string): Promise<void>
  /** How often the connection came back so far. */
  reconnects(name: string): Promise<number>
  /** Resolves when it came back more often than that. */
  comesBack(name: string, before: number): Promise<void>
  /** Resolves when the connection has ended, with its last words. */
  closing(name: string): Promise<Outcome>
  taps(): Promise<number>
  /** Loads the page again: what was in its memory is gone. */
  reload(): Promise<void>
  asked(): Promise<string[]>
}

const POLICY = `version: 1
roles:
  people:
    account: APP
    publish: { allow: ["chat.{{user}}"] }
    subscribe: { allow: ["chat.*"] }
    require: { class: person, user_verification: true }
    session: 1h
    plain_sessions: true
  responder:
    account: APP
    subscribe: { allow: ["ask.time"] }
    allow_responses: { max: 1, ttl: 60s }
  asker:
    account: APP
    publish: { allow: ["ask.time"] }
  brief:
    account: APP
    publish: { allow: ["brief.>"] }
    subscribe: { allow: ["brief.>"] }
    session: 3s
    ttl: 15m
`

export async function startSdkJourney(
  options: { line?: NatsServerLine; urls?: (websocketUrl: string) => string[]; edit?: (config: string) => string; yaml?: string } = {},
): Promise<SdkJourney> {
  const site = await startSdkSite()
  const product = await startProduct({
    ...(options.line === undefined ? {} : { line: options.line }),
    ...(options.edit === undefined ? {} : { edit: options.edit }),
    ...(options.yaml === undefined ? {} : { yaml: options.yaml }),
    policy: POLICY,
    personOrigins: [site.origin],
    urls: ({ url, websocketUrl }) => [url, ...(options.urls?.(websocketUrl) ?? [websocketUrl])],
  })
  const browser = await startChromium()
  return {
    product,
    site,
    browser,
    person: (handle, person = {}) => enter({ product, site, browser }, handle, person),
    async stop() {
      await browser.close()
      await product.stop()
      await site.close()
    },
  }
}

async function enter(
  { product, site, browser }: Pick<SdkJourney, 'product' | 'site' | 'browser'>,
  handle: string,
  options: PersonOptions,
): Promise<Person> {
  const identity = await product.enrolled(handle, { class: 'person', roles: ['people'], ...options.enrol })
  const tab = await browser.open()
  const { page } = tab
  await page.goto(options.origin ?? site.origin)
  await page.waitForFunction(() => window.harness !== undefined)
  const authenticator = await tab.authenticator(options.authenticator)
  const { id, rpId, userHandle, backupEligible, backupState } = identity.credential
  await authenticator.addCredential({ id, key: identity.key, rpId, userHandle, backupEligible, backupState })
  const request: PasskeyRequest = { servers: product.deployment.websocketUrl, rpId: PERSON.rpId, handle }
  return {
    identity,
    tab,
    authenticator,
    connect: (name, { request: changes = {}, policy = 'at once' } = {}) =>
      page.evaluate(([to, wish, taps]) => window.harness.connect(to, wish, taps), [name, { ...request, ...changes }, policy] as const),
    publish: (name, subject, text) =>
      page.evaluate((all) => window.harness.publish(...all), [name, subject, text] as [string, string, string]),
    subscribe: (name, subject) => page.evaluate((all) => window.harness.subscribe(...all), [name, subject] as [string, string]),
    close: (name) => page.evaluate((to) => window.harness.close(to), name),
    reconnect: (name) => page.evaluate((to) => window.harness.reconnect(to), name),
    async reload() {
      await page.reload()
      await page.waitForFunction(() => window.harness !== undefined)
    },
    async sees(event) {
      await page.waitForFunction((wanted) => window.harness.events.includes(wanted), event, { polling: 50, timeout: 60_000 })
    },
    reconnects: (name) => page.evaluate((to) => window.harness.events.filter((event) => event === `${to}:reconnect`).length, name),
    async comesBack(name, before) {
      const isBack = ([to, past]: readonly [string, number]) =>
        window.harness.events.filter((event) => event === `${to}:reconnect`).length > past
      await page.waitForFunction(isBack, [name, before] as const, { polling: 50, timeout: 60_000 })
    },
    async closing(name) {
      const found = await page.waitForFunction((wanted) => window.harness.closings[wanted], name, { polling: 50, timeout: 60_000 })
      return (await found.jsonValue()) as Outcome
    },
    taps: () => page.evaluate(() => window.harness.taps),
    asked: () => page.evaluate(() => window.harness.asked),
  }
}
