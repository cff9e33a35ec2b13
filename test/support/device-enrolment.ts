/** A person at the page who enrols devices: the three steps with a software passkey, and each of them alone. */
import type { Occasion } from '../../src/core/enrolment/enrolment-events.ts'
import { activateDevice, beginDevice, registerDevice } from '../../src/core/people/device-steps.ts'
import type { SignedIn } from '../../src/core/people/people.ts'
import type { CredentialRecord, LoginRecord } from '../../src/core/records.ts'
import { accepted, type Judged } from '../../src/core/refusal.ts'
import { type Passkey, type PasskeyOptions, softwarePasskey } from './passkey.ts'
import { putLogin, type TestPeopleWorld } from './people-world.ts'
import type { RegistrationInput } from './test-registration.ts'

export interface DeviceTrial {
  passkey?: Passkey
  /** Of the passkey that is made where none is given. */
  options?: Partial<PasskeyOptions>
  name?: string
  /** What the authenticator does wrong when it registers. */
  wrong?: Partial<RegistrationInput>
  /** In place of its registration, given the right one. */
  prepare?(response: ReturnType<Passkey['create']>): unknown
  occasion?: Partial<Occasion>
}

/** The login in `login`, as the page's next request finds it. */
export async function signedInAs(world: TestPeopleWorld, login: LoginRecord): Promise<SignedIn> {
  const [found, identity] = [await world.logins.find(login.id), await world.identities.findOnLeader(login.handle)]
  if (found === null || identity === null) throw new Error('finding a test login')
  return { login: found, identity }
}

/** A new login of `handle` and its person. */
export function signIn(world: TestPeopleWorld, handle: string, change: Partial<LoginRecord> = {}): Promise<SignedIn> {
  return signedInAs(world, putLogin(world, handle, change).login)
}

/** Steps 1 and 2: the ceremony of the first assertion, and the passkey that answers it. */
export async function register(world: TestPeopleWorld, who: SignedIn, trial: DeviceTrial = {}) {
  const passkey = trial.passkey ?? softwarePasskey({ origin: world.origin, ...trial.options })
  const begun = await beginDevice(who, world.occasion(trial.occasion), world)
  if (!begun.ok) return begun
  const response = passkey.create(begun.value.options, trial.wrong)
  const name = trial.name ?? 'laptop'
  const request = { ceremony: begun.value.ceremony, name, response: (await trial.prepare?.(response)) ?? response }
  const registered = await registerDevice(request, who, world.occasion(trial.occasion), world)
  return registered.ok ? accepted({ ...registered.value, passkey }) : registered
}

/** All three steps, by the login as each request finds it. */
export async function enrol(
  world: TestPeopleWorld,
  who: SignedIn,
  trial: DeviceTrial = {},
): Promise<Judged<{ credential: CredentialRecord; passkey: Passkey }>> {
  const registered = await register(world, who, trial)
  if (!registered.ok) return registered
  const { ceremony, options, passkey } = registered.value
  const again = await signedInAs(world, who.login.record)
  const activated = await activateDevice({ ceremony, response: passkey.get(options) }, again, world.occasion(trial.occasion), world)
  return activated.ok ? accepted({ ...activated.value, passkey }) : activated
}
