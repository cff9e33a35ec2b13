/** Tells the browser which passkeys still count, so that it stops offering the others. A browser may ignore it. */
import { sendSignal } from '@simplewebauthn/browser'
import type { PersonView } from '../core/people/people.ts'

/** After a device was removed. `removed`: its credential id. */
export async function signalRemoved(removed: string, { rpId, userHandle, devices }: PersonView): Promise<void> {
  await Promise.all([
    quietly(() => sendSignal({ signalName: 'unknownCredential', rpID: rpId, credentialID: removed })),
    quietly(() =>
      sendSignal({
        signalName: 'allAcceptedCredentials',
        rpID: rpId,
        userID: userHandle,
        allAcceptedCredentialIDs: devices.map(({ id }) => id),
      }),
    ),
  ])
}

/** After a passkey was made that the service did not take. */
export async function signalUnknown(credential: string, rpId: string): Promise<void> {
  await quietly(() => sendSignal({ signalName: 'unknownCredential', rpID: rpId, credentialID: credential }))
}

/** A signal is a courtesy: nothing on the page depends on it, and most browsers do not have it yet. */
async function quietly(send: () => Promise<void>): Promise<void> {
  try {
    await send()
  } catch {
    // The passkey stays in its manager, and the service refuses it.
  }
}
