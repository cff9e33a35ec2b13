/** Until when a request can be answered: as long as the server that asked waits for us (docs/architecture.md). */

/** The answer must be at the server before it gives up on us. */
export const answerMarginMs = 500

/** Whether it is too late `elapsedMs` after its arrival for a request whose server waits `seconds`. */
export function isTooLate(elapsedMs: number, seconds: number, marginMs = answerMarginMs): boolean {
  return elapsedMs > seconds * 1000 - marginMs
}
