import assert from 'node:assert/strict'
import { openRequest } from '../../src/core/authorization-request.ts'
import { DENIALS } from '../../src/core/denial.ts'
import { utf8 } from '../../src/core/encoding.ts'
import { fuzzPool, SERVER, tokenOf } from '../support/fuzz-pool.ts'
import { NOW, rules } from '../support/scenario.ts'
import { signatures } from '../support/signatures.ts'
import { bytesOf, type FuzzTarget, textOf } from './fuzz-target.ts'

const now = new Date(NOW)
const open = (token: string) => openRequest({ payload: utf8(token), serverXkey: '' }, { rules: rules(), xkey: null, signatures, now })

/** Whatever a server signs, and whatever comes unsigned: a request in order, or a denial of the first stage. */
export const authorizationRequest: FuzzTarget = {
  name: 'authorization-request',
  seeds: () =>
    fuzzPool('')
      .genuine.slice(0, 12)
      .map(({ claims }) => bytesOf(JSON.stringify(claims))),
  dictionary: [
    '"iss":',
    '"aud":',
    '"exp":',
    '"nbf":0',
    '"kind":"Client"',
    '"type":"websocket"',
    '"nonce":',
    '"server_id":',
    '"client_tls":{}',
    '.',
    'eyJ',
  ],
  shape: 'json',
  run(input) {
    const text = textOf(input)
    assert.equal(open(text).ok, false)
    const opened = open(tokenOf(text, SERVER))
    if (!opened.ok) return assert.equal(DENIALS[opened.denial].stage, 'open')
    const { serverId, clientId, iat, exp, nonce, nkey, clientHost, clientName, sealedFor } = opened.value
    assert.equal(serverId, SERVER.publicKey)
    assert.ok([clientId, iat, exp].every(Number.isSafeInteger) && iat <= exp)
    assert.ok([nonce, nkey, clientHost, clientName].every((part) => typeof part === 'string' && part.length <= 256))
    assert.equal(sealedFor, null)
  },
}
