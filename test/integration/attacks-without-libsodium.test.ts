/** The attack suite once more, with what comes with Node in libsodium's place: verdicts must not depend on who computes. */
process.env['NATS_WEBAUTHN_CRYPTO'] = 'node'
await import('./attacks.test.ts')
