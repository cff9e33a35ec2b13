import assert from 'node:assert/strict'
import { fromPublic, fromSeed } from 'nkeys.js'
import { parseUserNkey } from '../../src/core/identifiers.ts'
import { decodePublicNkey, decodeSeed, encodePublicNkey, encodeSeed, type NkeyKind } from '../../src/core/nkey.ts'
import { bytesOf, type FuzzTarget, textOf } from './fuzz-target.ts'

const KINDS: readonly NkeyKind[] = ['N', 'A', 'U', 'X', 'O']
const raw = new Uint8Array(32).map((_, i) => i * 7)

/** A key has one spelling of one kind; the library of NATS reads what we read. Any 32 bytes are a key. */
export const nkey: FuzzTarget = {
  name: 'nkey',
  seeds: () => [...KINDS.flatMap((kind) => [encodePublicNkey(kind, raw), encodeSeed(kind, raw)]).map(bytesOf), raw],
  dictionary: ['U', 'SU', 'SA', '=', '7', 'A'],
  shape: 'text',
  run(input) {
    const text = textOf(input)
    const kinds = KINDS.filter((kind) => {
      const bytes = decodePublicNkey(kind, text)
      if (bytes === null) return false
      assert.equal(encodePublicNkey(kind, bytes), text)
      assert.equal(fromPublic(text).getPublicKey(), text)
      return true
    })
    assert.ok(kinds.length <= 1)
    assert.ok(parseUserNkey(text) === null || kinds[0] === 'U')
    const seeds = KINDS.filter((kind) => {
      const bytes = decodeSeed(kind, text)
      if (bytes === null) return false
      assert.equal(encodeSeed(kind, bytes), text)
      assert.equal(Buffer.from(fromSeed(bytesOf(text)).getSeed()).toString(), text)
      return true
    })
    assert.ok(seeds.length <= 1 && (kinds.length === 0 || seeds.length === 0))
    if (input.length !== 32) return
    for (const kind of KINDS) {
      assert.deepEqual(decodePublicNkey(kind, encodePublicNkey(kind, input)), Uint8Array.from(input))
      assert.deepEqual(decodeSeed(kind, encodeSeed(kind, input)), Uint8Array.from(input))
    }
  },
}
