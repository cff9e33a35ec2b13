import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { TimeWindow } from '../../src/core/policy/policy.ts'
import { isTimeZone, isWithinWindows, windowsCloseAt } from '../../src/core/policy/time-window.ts'

const everyDay = [0, 1, 2, 3, 4, 5, 6]
const clock = (text: string) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3))
function window(from: string, to: string, { days = everyDay, timeZone = 'Europe/Berlin' } = {}): TimeWindow {
  return { days, fromMinute: clock(from), toMinute: clock(to), timeZone }
}
const closes = (windows: TimeWindow[], at: string) =>
  new Date(windowsCloseAt(windows, new Date(at)) * 1000).toISOString().replace('.000', '')

describe('whether a window is open', () => {
  const office = [window('08:00', '18:00', { days: [1, 2, 3, 4, 5] })]
  const cases: [string, boolean][] = [
    ['2026-03-04T07:00:00Z', true],
    ['2026-03-04T06:59:59Z', false],
    ['2026-03-04T16:59:59Z', true],
    ['2026-03-04T17:00:00Z', false],
    ['2026-03-07T12:00:00Z', false],
    ['2026-07-01T06:00:00Z', true],
    ['2026-07-01T05:59:00Z', false],
    ['2026-07-01T16:00:00Z', false],
  ]
  for (const [at, open] of cases) test(`${at}: ${open}`, () => assert.equal(isWithinWindows(office, new Date(at)), open))

  test('the day is the one on the wall there, not here', () => {
    const monday = [window('00:00', '24:00', { days: [1], timeZone: 'Pacific/Auckland' })]
    assert.equal(isWithinWindows(monday, new Date('2026-03-01T12:00:00Z')), true)
    assert.equal(isWithinWindows(monday, new Date('2026-03-02T12:00:00Z')), false)
  })
  test('no window is never open', () => assert.equal(isWithinWindows([], new Date()), false))
  test('knows time zones', () => {
    for (const zone of ['UTC', 'Europe/Berlin', 'Asia/Kathmandu']) assert.equal(isTimeZone(zone), true)
    for (const zone of ['Mars/Base', '', 'Europe', '../etc']) assert.equal(isTimeZone(zone), false)
  })
})

describe('when a window closes', () => {
  test('at its end', () => assert.equal(closes([window('08:00', '18:00')], '2026-03-04T12:34:56Z'), '2026-03-04T17:00:00Z'))
  test('at midnight', () => assert.equal(closes([window('08:00', '24:00')], '2026-03-04T12:00:00Z'), '2026-03-04T23:00:00Z'))
  test('at the end of the next one where they touch', () => {
    const night = [window('22:00', '24:00'), window('00:00', '06:00')]
    assert.equal(closes(night, '2026-03-04T22:00:00Z'), '2026-03-05T05:00:00Z')
  })
  test('late, but not never, where windows cover the whole week', () => {
    assert.ok(windowsCloseAt([window('00:00', '24:00')], new Date('2026-03-04T12:00:00Z')) > Date.parse('2026-03-05T12:00:00Z') / 1000)
  })
  test('an hour sooner in the night that loses an hour', () => {
    // Berlin, 29 March 2026: 02:00 is 03:00.
    assert.equal(closes([window('00:00', '04:00')], '2026-03-29T00:00:00Z'), '2026-03-29T02:00:00Z')
  })
  test('at the change, where the end is in the hour that is left out', () => {
    assert.equal(closes([window('00:00', '02:30')], '2026-03-29T00:00:00Z'), '2026-03-29T01:00:00Z')
  })
  test('an hour later in the night that has an hour twice', () => {
    // Berlin, 25 October 2026: 03:00 is 02:00 again.
    assert.equal(closes([window('00:00', '04:00')], '2026-10-24T23:00:00Z'), '2026-10-25T03:00:00Z')
  })
  test('at the first of two ends in the hour that comes twice', () => {
    assert.equal(closes([window('00:00', '02:30')], '2026-10-24T23:00:00Z'), '2026-10-25T00:30:00Z')
  })
  test('where midnight itself is left out', () => {
    // Beirut, 29 March 2026: 00:00 is 01:00.
    const beirut = { timeZone: 'Asia/Beirut' }
    assert.equal(closes([window('20:00', '24:00', beirut)], '2026-03-28T20:00:00Z'), '2026-03-28T22:00:00Z')
  })

  test('the moment before is open and the moment itself is not, at any time of any year', () => {
    const zone = fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'America/St_Johns')
    // Not the whole day: such a window goes on at midnight, beyond what windowsCloseAt looks at.
    const minutes = fc.tuple(fc.integer({ min: 0, max: 1439 }), fc.integer({ min: 1, max: 1440 }))
    const span = minutes.filter(([from, to]) => from < to && to - from < 1440)
    const moment = fc.integer({ min: Date.parse('2024-01-01') / 1000, max: Date.parse('2030-01-01') / 1000 })
    fc.assert(
      fc.property(zone, span, moment, (timeZone, [fromMinute, toMinute], at) => {
        const windows = [{ days: [1, 2, 3, 4, 5], fromMinute, toMinute, timeZone }]
        const now = new Date(at * 1000)
        if (!isWithinWindows(windows, now)) return true
        const close = windowsCloseAt(windows, now)
        return close > at && isWithinWindows(windows, new Date(close * 1000 - 1)) && !isWithinWindows(windows, new Date(close * 1000))
      }),
      { numRuns: 1500 },
    )
  })
})
