/** The tap that endorses a terminal's session: which devices may, what the browser asks of them, and whether it was one of them. */
import { base64url } from '../encoding.ts'
import { ceremonySeconds } from '../enrolment/ceremony.ts'
import type { Occasion } from '../enrolment/enrolment-events.ts'
import { type CredentialId, credentialKey } from '../identifiers.ts'
import type { CredentialRecord, SessionRequestRecord } from '../records.ts'
import { accepted, type Judged, type Refusal, sessionRefused } from '../refusal.ts'
import { verifyAssertion } from '../webauthn/assertion.ts'
import { parseAssertionResponse } from '../webauthn/assertion-response.ts'
import { checkCredentialState } from '../webauthn/credential.ts'
import { devicesOf } from './device-view.ts'
import type { PeopleWorld, SignedIn } from './people.ts'
import { countTap } from './person-tap.ts'
import { type Endorsement, judgeEndorsement } from './session-endorsement.ts'
import { challengeOfRequest } from './session-request.ts'

/** As much of PublicKeyCredentialRequestOptionsJSON (WebAuthn L3 §5.1.8) as is asked. */
export interface EndorsementOptions {
  /** 32 bytes, unpadded base64url. */
  challenge: string
  rpId: string
  /** Milliseconds. */
  timeout: number
  userVerification: 'required' | 'preferred'
  allowCredentials: { id: CredentialId; type: 'public-key'; transports: string[] }[]
}

export interface EndorsableDevice {
  credential: CredentialRecord
  endorsement: Endorsement
}

/** The person's devices whose tap would give a session; a refusal when there is none, of the first device that was refused. */
export async function endorsableDevices(
  request: SessionRequestRecord,
  { identity }: SignedIn,
  { now }: Occasion,
  world: PeopleWorld,
): Promise<Judged<EndorsableDevice[]>> {
  const devices: EndorsableDevice[] = []
  const refusals: Refusal[] = []
  for (const stored of await devicesOf(identity.record, world)) {
    if (!checkCredentialState(stored, now).ok) continue
    const credential = stored.record
    const judged = judgeEndorsement(world.policy(), {
      identity: identity.record,
      credential,
      byCode: request.flow === 'code',
      rules: world.rules,
      now,
    })
    if (judged.ok) devices.push({ credential, endorsement: judged.value })
    else refusals.push(judged.refusal)
  }
  if (devices.length > 0) return accepted(devices)
  const [first] = refusals
  return first === undefined ? sessionRefused('roles_insufficient', 'no_device') : { ok: false, refusal: first }
}

/** What the browser is given. The challenge names the request's nkey: a tap for it serves nothing else. */
export function optionsFor(request: SessionRequestRecord, devices: readonly EndorsableDevice[], world: PeopleWorld): EndorsementOptions {
  const { person } = world.rules
  if (person === null) throw new Error('making options for a tap: there is no relying party for people')
  return {
    challenge: base64url(challengeOfRequest(request, world.origin)),
    rpId: person.rpId,
    timeout: ceremonySeconds * 1000,
    userVerification: devices.some(({ endorsement }) => endorsement.requireUserVerification) ? 'required' : 'preferred',
    allowCredentials: devices.map(({ credential: { id, transports } }) => ({ id, type: 'public-key', transports: [...transports] })),
  }
}

/** Whether the person who is signed in tapped a device of their own for this very request. Its counter has moved then. */
export async function verifyEndorsingTap(
  response: unknown,
  { request, signedIn }: { request: SessionRequestRecord; signedIn: SignedIn },
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<{ credential: CredentialRecord; userVerified: boolean; endorsement: Endorsement }>> {
  const { rules } = world
  const identity = signedIn.identity.record
  if (rules.person === null) return sessionRefused('assertion_invalid', 'rp_id_mismatch')
  const parsed = parseAssertionResponse(response)
  if (!parsed.ok) return sessionRefused('assertion_invalid', parsed.denial)
  const stored = await world.credentials.find(credentialKey(parsed.value.id))
  // Another person's device is as unknown as one that nobody has.
  if (stored === null || stored.record.handle !== identity.handle) return sessionRefused('assertion_invalid', 'credential_unknown')
  occasion.known.credential = stored.record.id
  const active = checkCredentialState(stored, occasion.now)
  if (!active.ok) return sessionRefused('assertion_invalid', active.denial)

  const credential = stored.record
  const byCode = request.flow === 'code'
  const endorsement = judgeEndorsement(world.policy(), { identity, credential, byCode, rules, now: occasion.now })
  if (!endorsement.ok) return endorsement
  const verified = verifyAssertion(parsed.value, credential, {
    challenge: challengeOfRequest(request, world.origin),
    rpId: rules.person.rpId,
    // The page is ours: no other origin that people use may endorse a terminal.
    origins: [world.origin],
    class: 'person',
    requireUserVerification: endorsement.value.requireUserVerification,
    algorithms: rules.algorithms,
  })
  if (!verified.ok) return sessionRefused('assertion_invalid', verified.denial)
  const counted = await countTap(stored, verified.value, occasion, world)
  if (!counted.ok) return sessionRefused('assertion_invalid', counted.denial)
  return accepted({ credential, userVerified: verified.value.userVerified, endorsement: endorsement.value })
}
