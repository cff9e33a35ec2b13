/** The ways to sign in, each up to the person who comes out of it. */
import { call } from './api.ts'
import { endCeremony, offerInField, signWithPasskey } from './ceremony.ts'
import type { Failure } from './failure.ts'
import type { Page } from './page.ts'
import { keepPlace, type Place } from './place.ts'

/** Signs in with a passkey, in a dialog of the browser. Null: signed in. */
export async function signInWithPasskey(page: Page): Promise<Failure | null> {
  const begun = await call('/v1/login/passkey/begin', {})
  if (!begun.ok) return begun.failure
  const signed = await signWithPasskey(begun.value.options)
  if (!signed.ok) return signed.failure
  return finish(page, begun.value.ceremony, signed.value)
}

/**
 * Offers passkeys in the sign-in field until one is chosen. `over`: the challenge is about to expire, and nobody chose.
 * `ended`: another ceremony took its place, or the view is gone.
 */
export async function signInFromField(page: Page, gone: AbortSignal): Promise<Failure | 'signed_in' | 'over' | 'ended'> {
  const begun = await call('/v1/login/passkey/begin', {})
  // Who did not ask for anything is not told that it failed.
  if (!begun.ok || gone.aborted) return 'ended'
  let isOver = false
  const timer = setTimeout(() => {
    isOver = true
    endCeremony()
  }, offerMs)
  gone.addEventListener('abort', endCeremony)
  const signed = await offerInField(begun.value.options)
  clearTimeout(timer)
  gone.removeEventListener('abort', endCeremony)
  if (signed === null || gone.aborted) return isOver ? 'over' : 'ended'
  return (await finish(page, begun.value.ceremony, signed)) ?? 'signed_in'
}

/** Ceremonies live for five minutes. */
const offerMs = 4 * 60_000

/** Leaves for an identity provider. `fresh`: the person has to authenticate there again. Null: on the way. */
export async function leaveForProvider(
  page: Page,
  { provider, fresh, place }: { provider: string; fresh: boolean; place: Place },
): Promise<Failure | null> {
  if (isLeaving) return null
  isLeaving = true
  try {
    return await leave(page, { provider, fresh, place })
  } finally {
    isLeaving = false
  }
}

let isLeaving = false

async function leave(page: Page, { provider, fresh, place }: { provider: string; fresh: boolean; place: Place }): Promise<Failure | null> {
  const answered = await call('/v1/login/idp', fresh ? { provider, fresh } : { provider })
  if (!answered.ok) return answered.failure
  const { url } = answered.value
  // Never a script or a file, whoever answered.
  if (!/^https?:\/\//.test(url)) return { code: 'unexpected', check: null, waitSeconds: null }
  keepPlace(page.next ?? place, Date.now())
  location.assign(url)
  await gone()
  return null
}

// A second press while the browser is on its way would begin another login, and the first to arrive would be refused.
const leavingMs = 15_000

/** Resolves when the page is shown again after it was left, or when leaving it did not work out. */
function gone(): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, leavingMs)
    window.addEventListener(
      'pageshow',
      () => {
        clearTimeout(timer)
        resolve()
      },
      { once: true },
    )
  })
}

/** Signs in with an invitation. */
export async function signInWithTicket(page: Page, ticket: string): Promise<Failure | null> {
  const answered = await call('/v1/login/ticket', { ticket })
  if (!answered.ok) return answered.failure
  page.person = answered.value.person
  return null
}

async function finish(
  page: Page,
  ceremony: string,
  response: Parameters<typeof call<'/v1/login/passkey/finish'>>[1]['response'],
): Promise<Failure | null> {
  const finished = await call('/v1/login/passkey/finish', { ceremony, response })
  if (!finished.ok) return finished.failure
  page.person = finished.value.person
  return null
}
