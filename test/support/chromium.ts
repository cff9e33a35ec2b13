/** Headless Chromium with a virtual authenticator, for tests of what people see and tap. Everything is gone after `close`. */
import { existsSync } from 'node:fs'
import { type Browser, type BrowserContext, type BrowserContextOptions, type CDPSession, chromium, type Page } from 'playwright-core'
import type { TestKey } from './test-authenticator.ts'

/** Path of the browser: CHROMIUM, or where Debian installs it. */
export const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium'

const ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export interface TestBrowser {
  /** A page with cookies and storage of its own, or one more page of `context`. */
  open(options?: { context?: BrowserContext; settings?: BrowserContextOptions }): Promise<TestPage>
  /** Closes all pages and the browser, and removes its profile. */
  close(): Promise<void>
}

export interface TestPage {
  page: Page
  context: BrowserContext
  cdp: CDPSession
  /** Console errors, uncaught exceptions and Content-Security-Policy violations so far. */
  problems: string[]
  /** Attaches an authenticator to this page. Pages have none at first: ceremonies then fail. */
  authenticator(options?: AuthenticatorOptions): Promise<VirtualAuthenticator>
  close(): Promise<void>
}

export interface AuthenticatorOptions {
  /** Whether it can verify its user at all (default true). */
  hasUserVerification?: boolean
  /** Whether it does (default true): false is a wrong finger. */
  isUserVerified?: boolean
  /** BE and BS of credentials made here (default false: device-bound). */
  backupEligible?: boolean
  backupState?: boolean
  /** `usb` is a security key, `internal` (default) a platform authenticator. */
  transport?: 'internal' | 'usb' | 'nfc' | 'ble'
  hasResidentKey?: boolean
  /** false: nobody touches it, and the ceremony waits (default true). */
  isPresent?: boolean
}

/** A credential as an authenticator holds it. Binary members in unpadded base64url. */
export interface HeldCredential {
  id: string
  rpId: string
  userHandle: string
  signCount: number
  backupEligible: boolean
  backupState: boolean
}

export interface VirtualAuthenticator {
  id: string
  /** Puts a discoverable credential with an existing key into it. */
  addCredential(credential: { id: string; key: TestKey; rpId: string; userHandle: string; signCount?: number } & BackupFlags): Promise<void>
  removeCredential(id: string): Promise<void>
  credentials(): Promise<HeldCredential[]>
  setUserVerified(verified: boolean): Promise<void>
  setPresent(present: boolean): Promise<void>
  /** Unplugs it. */
  remove(): Promise<void>
}

interface BackupFlags {
  backupEligible?: boolean
  backupState?: boolean
}

/** Starts the browser with a new, empty profile. */
export async function startChromium(): Promise<TestBrowser> {
  if (!existsSync(CHROMIUM)) throw new Error(`starting Chromium: ${CHROMIUM} is missing; install chromium, or set CHROMIUM`)
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS })
  return {
    open: (options = {}) => openPage(browser, options),
    close: () => browser.close(),
  }
}

async function openPage(browser: Browser, options: { context?: BrowserContext; settings?: BrowserContextOptions }): Promise<TestPage> {
  const context = options.context ?? (await browser.newContext(options.settings))
  const page = await context.newPage()
  const problems: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text())
  })
  page.on('pageerror', (error) => problems.push(error.message))
  const cdp = await context.newCDPSession(page)
  await cdp.send('WebAuthn.enable', { enableUI: false })
  return {
    page,
    context,
    cdp,
    problems,
    authenticator: (authenticator = {}) => addVirtualAuthenticator(cdp, authenticator),
    close: () => (options.context === undefined ? context.close() : page.close()),
  }
}

async function addVirtualAuthenticator(cdp: CDPSession, options: AuthenticatorOptions): Promise<VirtualAuthenticator> {
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      ctap2Version: 'ctap2_1',
      transport: options.transport ?? 'internal',
      hasResidentKey: options.hasResidentKey ?? true,
      hasUserVerification: options.hasUserVerification ?? true,
      isUserVerified: options.isUserVerified ?? true,
      automaticPresenceSimulation: options.isPresent ?? true,
      defaultBackupEligibility: options.backupEligible ?? false,
      defaultBackupState: options.backupState ?? false,
    },
  })
  return {
    id: authenticatorId,
    addCredential: async ({ id, key, rpId, userHandle, signCount = 0, backupEligible = false, backupState = false }) => {
      await cdp.send('WebAuthn.addCredential', {
        authenticatorId,
        credential: {
          credentialId: padded(id),
          isResidentCredential: true,
          rpId,
          privateKey: key.privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
          userHandle: padded(userHandle),
          signCount,
          backupEligibility: backupEligible,
          backupState,
        },
      })
    },
    removeCredential: async (id) => {
      await cdp.send('WebAuthn.removeCredential', { authenticatorId, credentialId: padded(id) })
    },
    credentials: async () => {
      const { credentials } = await cdp.send('WebAuthn.getCredentials', { authenticatorId })
      return credentials.map((credential) => ({
        id: unpadded(credential.credentialId),
        rpId: credential.rpId ?? '',
        userHandle: unpadded(credential.userHandle ?? ''),
        signCount: credential.signCount,
        backupEligible: credential.backupEligibility ?? false,
        backupState: credential.backupState ?? false,
      }))
    },
    setUserVerified: async (isUserVerified) => {
      await cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified })
    },
    setPresent: async (enabled) => {
      await cdp.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId, enabled })
    },
    remove: async () => {
      await cdp.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId })
    },
  }
}

// The protocol of the developer tools speaks standard base64.
function padded(base64url: string): string {
  return Buffer.from(base64url, 'base64url').toString('base64')
}

function unpadded(base64: string): string {
  return Buffer.from(base64, 'base64').toString('base64url')
}
