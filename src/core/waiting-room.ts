/**
 * Where requests wait for their turn: bounded, fair between sources, and with a share of its own for
 * sources from which somebody proved who they are lately, so that not even a flood from everywhere crowds those out.
 */

import { FairQueue } from './fair-queue.ts'
import { Generations } from './generations.ts'

/** How many wait, by whether somebody was granted a connection from their source lately. */
export interface Waiting {
  known: number
  unknown: number
}

export interface WaitingRoom<T> {
  /** Who has to leave so that no more than `placesMax` wait: null mostly, `item` itself where it finds no place. */
  enter(item: T, bounds: { nowMs: number; placesMax: number }): T | null
  /** Whose turn it is, or null when nobody waits. Those that cannot be answered in time any more are handed to `lost` on the way. */
  next(nowMs: number, lost: (item: T) => void): T | null
  /** Somebody proved who they are from this source. */
  proved(source: string, nowMs: number): void
  /** Whether somebody did lately. */
  isKnown(source: string, nowMs: number): boolean
  waiting(): Waiting
  /** How many of one source wait. */
  waitingFrom(source: string): number
  size(): number
}

/** Of places and of turns, where both kinds of sources want them; what one does not need the other has. */
const knownShare = 3 / 4

/** The share of the places that is kept for known sources, or for all others. */
export function placesShare(isKnown: boolean): number {
  return isKnown ? knownShare : 1 - knownShare
}

const knownTurnsMax = 3
const knownMsMax = 24 * 3_600_000
const knownSourcesMax = 50_000

export function createWaitingRoom<T extends { source: string }>({
  isLost,
}: {
  /** Whether it is too late for the item. */
  isLost(item: T, nowMs: number): boolean
}): WaitingRoom<T> {
  const known = new FairQueue<T>()
  const unknown = new FairQueue<T>()
  const provedAt = new Generations<number>(knownSourcesMax)
  let knownTurns = 0

  function isKnown(source: string, nowMs: number): boolean {
    return nowMs - (provedAt.get(source) ?? Number.NEGATIVE_INFINITY) < knownMsMax
  }

  function turn(): T | null {
    if (known.size > 0 && (unknown.size === 0 || knownTurns < knownTurnsMax)) {
      knownTurns++
      return known.shift()
    }
    knownTurns = 0
    return unknown.shift()
  }

  return {
    enter(item, { nowMs, placesMax }) {
      const ofKnown = isKnown(item.source, nowMs)
      const [own, other] = ofKnown ? [known, unknown] : [unknown, known]
      const isOwed = own.size < placesMax * placesShare(ofKnown)
      own.push(item.source, item)
      if (known.size + unknown.size <= placesMax) return null
      return (isOwed ? other : own).dropFromLongest((oldest) => isLost(oldest, nowMs))
    },
    next(nowMs, lost) {
      for (;;) {
        const item = turn()
        if (item === null || !isLost(item, nowMs)) return item
        lost(item)
      }
    },
    proved: (source, nowMs) => provedAt.set(source, nowMs),
    isKnown,
    waiting: () => ({ known: known.size, unknown: unknown.size }),
    // Both: it may have proved itself while some of it waited.
    waitingFrom: (source) => known.waitingFrom(source) + unknown.waitingFrom(source),
    size: () => known.size + unknown.size,
  }
}
