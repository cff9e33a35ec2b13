import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createWaitingRoom } from '../../src/core/waiting-room.ts'

interface Guest {
  source: string
  name: string
  until: number
}

const guest = (name: string, until = Number.POSITIVE_INFINITY): Guest => ({ source: name.charAt(0), name, until })
const roomOf = () => createWaitingRoom<Guest>({ isLost: ({ until }, nowMs) => nowMs > until })
type Room = ReturnType<typeof roomOf>

const enter = (room: Room, name: string, placesMax = 8, nowMs = 0, until?: number) =>
  room.enter(guest(name, until), { nowMs, placesMax })?.name ?? null

function leaving(room: Room, nowMs = 0): { turns: string[]; lost: string[] } {
  const [turns, lost]: [string[], string[]] = [[], []]
  for (;;) {
    const next = room.next(nowMs, ({ name }) => lost.push(name))
    if (next === null) return { turns, lost }
    turns.push(next.name)
  }
}

describe('the waiting room', () => {
  test('lets a source in that has nobody there, however much another one sends', () => {
    const room = roomOf()
    for (let i = 0; i < 8; i++) assert.equal(enter(room, `a${i}`), null)
    for (let i = 8; i < 100; i++) assert.equal(enter(room, `a${i}`), `a${i}`)
    assert.equal(enter(room, 'g0'), 'a7')
    assert.deepEqual(leaving(room).turns.slice(0, 2), ['a0', 'g0'])
  })

  test('shares its places evenly between sources that all want more', () => {
    const room = roomOf()
    for (let i = 0; i < 50; i++) for (const source of 'abcd') enter(room, `${source}${i}`)
    const left = leaving(room).turns
    for (const source of 'abcd') assert.equal(left.filter((name) => name.startsWith(source)).length, 2)
  })

  test('turns the newcomer away where every source has one place: nobody is driven out', () => {
    const room = roomOf()
    for (const source of 'abcdefgh') assert.equal(enter(room, `${source}0`), null)
    assert.equal(enter(room, 'z0'), 'z0')
  })

  test('lets go first whom it is too late for', () => {
    const room = roomOf()
    enter(room, 'a0', 2, 0, 10)
    enter(room, 'a1', 2, 0, 50)
    assert.equal(enter(room, 'b0', 2, 20), 'a0')
    assert.deepEqual(leaving(room, 60), { turns: ['b0'], lost: ['a1'] })
  })

  test('hands out nobody whom it is too late for', () => {
    const room = roomOf()
    for (let i = 0; i < 4; i++) enter(room, `a${i}`, 8, 0, 10)
    enter(room, 'g0')
    assert.deepEqual(leaving(room, 20), { turns: ['g0'], lost: ['a0', 'a1', 'a2', 'a3'] })
  })

  test('keeps three of four places for sources that proved themselves, when a flood comes from everywhere', () => {
    const room = roomOf()
    room.proved('g', 0)
    const places = 100
    const strangers = Array.from({ length: 1_000 }, (_, i) => ({ source: `stranger ${i}`, name: 's', until: Number.POSITIVE_INFINITY }))
    for (const stranger of strangers) room.enter(stranger, { nowMs: 0, placesMax: places })
    for (let i = 0; i < 75; i++) assert.equal(enter(room, `g${i}`, places), 's')
    assert.deepEqual(room.waiting(), { known: 75, unknown: 25 })
    assert.equal(enter(room, 'g75', places), 'g75')
  })

  test('keeps a quarter of its places for strangers, when all places are taken by known sources', () => {
    const room = roomOf()
    room.proved('g', 0)
    for (let i = 0; i < 8; i++) enter(room, `g${i}`)
    assert.deepEqual([enter(room, 'a0'), enter(room, 'b0'), enter(room, 'c0')], ['g7', 'g6', 'c0'])
    assert.deepEqual(room.waiting(), { known: 6, unknown: 2 })
  })

  test('gives known sources three turns of four, and each kind all of them while the other is not there', () => {
    const room = roomOf()
    room.proved('g', 0)
    for (let i = 0; i < 6; i++) enter(room, `g${i}`, 20)
    for (let i = 0; i < 4; i++) enter(room, `a${i}`, 20)
    assert.deepEqual(leaving(room).turns, ['g0', 'g1', 'g2', 'a0', 'g3', 'g4', 'g5', 'a1', 'a2', 'a3'])
  })

  test('knows a source for a day', () => {
    const room = roomOf()
    room.proved('g', 0)
    enter(room, 'g0', 8, 86_399_999)
    assert.deepEqual(room.waiting(), { known: 1, unknown: 0 })
    enter(room, 'g1', 8, 86_400_000)
    assert.deepEqual(room.waiting(), { known: 1, unknown: 1 })
  })

  test('has room for nobody where there are no places', () => {
    const room = roomOf()
    assert.equal(enter(room, 'a0', 0), 'a0')
    assert.equal(room.size(), 0)
  })
})
