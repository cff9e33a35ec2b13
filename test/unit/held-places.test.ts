import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { HeldPlaces } from '../../src/policy/held-places.ts'

interface Guest {
  source: string
}

const guest = (source: string): Guest => ({ source })
const filled = (max: number, ...sources: string[]) => {
  const places = new HeldPlaces<Guest>(max)
  const guests = sources.map(guest)
  for (const one of guests) assert.equal(places.enter(one), null)
  return { places, guests }
}

describe('places that are held', () => {
  test('are given up by who holds most, the newest first, to who holds less', () => {
    const { places, guests } = filled(4, 'a', 'b', 'a', 'a')
    assert.equal(places.enter(guest('c')), guests[3])
    assert.equal(places.enter(guest('d')), guests[2])
  })

  test('are not given up to who would then hold as many', () => {
    const { places } = filled(4, 'a', 'a', 'b', 'b')
    for (const source of ['a', 'b']) {
      const late = guest(source)
      assert.equal(places.enter(late), late)
    }
    const { places: single } = filled(2, 'a', 'b')
    const third = guest('c')
    assert.equal(single.enter(third), third)
  })

  test('are free when they are left, once', () => {
    const { places, guests } = filled(2, 'a', 'a')
    const [first] = guests
    assert.ok(first)
    places.leave(first)
    places.leave(first)
    assert.equal(places.enter(guest('a')), null)
    const late = guest('a')
    assert.equal(places.enter(late), late)
  })

  test('property: never more than there are, and nobody is refused who holds two less than another', () => {
    const step = fc.oneof(
      fc.record({ act: fc.constant('enter' as const), source: fc.constantFrom(...'abcd') }),
      fc.record({ act: fc.constant('leave' as const), nth: fc.nat() }),
    )
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.array(step, { maxLength: 60 }), (max, steps) => {
        const places = new HeldPlaces<Guest>(max)
        let held: Guest[] = []
        const holds = (source: string) => held.filter((one) => one.source === source).length
        for (const one of steps) {
          if (one.act === 'leave') {
            const leaving = held[one.nth % Math.max(1, held.length)]
            if (leaving !== undefined) places.leave(leaving)
            held = held.filter((other) => other !== leaving)
            continue
          }
          const item = guest(one.source)
          const most = Math.max(...[...'abcd'].map(holds))
          const leaves = places.enter(item)
          if (held.length < max) assert.equal(leaves, null)
          else assert.equal(leaves === item, most <= holds(one.source) + 1)
          if (leaves !== null && leaves !== item) assert.equal(holds(leaves.source), most)
          held = [...held, item].filter((other) => other !== leaves)
          assert.ok(held.length <= max)
        }
      }),
      { numRuns: 300 },
    )
  })
})
