// Consonants only: nothing to misread, no words.
const CODE = /^[BCDFGHJKLMNPQRSTVWXZ]{8}$/

/** The code that a terminal shows, as `XXXX-XXXX`, however it was typed; null when it is none. */
export function readCode(typed: string): string | null {
  const letters = typed.toUpperCase().replace(/[\s\p{Pd}]/gu, '')
  return CODE.test(letters) ? `${letters.slice(0, 4)}-${letters.slice(4)}` : null
}
