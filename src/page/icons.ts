/** The page's drawings: strokes on a grid of 24 × 24. */
import { drawing } from './dom.ts'

const PATHS = {
  // A key: what a passkey is.
  key: ['M7.5 20.5a4 4 0 1 0 0-8 4 4 0 0 0 0 8Z', 'M10.4 13.6 20.5 3.5', 'm15.5 8.5 3.5 3.5', 'm18 6 2 2'],
  // A cloud: it is copied to other devices.
  cloud: ['M7 18.5a4 4 0 0 1-.6-8 5.5 5.5 0 0 1 10.7-1 4.5 4.5 0 0 1-.6 9H7Z'],
  // A chip: it stays in one device.
  chip: ['M7 7h10v10H7z', 'M10.5 10.5h3v3h-3z', 'M10 7V4M14 7V4M10 20v-3M14 20v-3M7 10H4M7 14H4M20 10h-3M20 14h-3'],
  terminal: ['M3.5 5h17v14h-17z', 'm7 9.5 2.5 2.5L7 14.5', 'M12 15h4.5'],
  browser: ['M3.5 5h17v14h-17z', 'M3.5 9h17', 'M6.5 7h.01M9 7h.01'],
  check: ['m5 12.5 4.5 4.5L19 7.5'],
  warning: ['M12 4 2.8 19.5h18.4L12 4Z', 'M12 10v4.5', 'M12 17h.01'],
  cross: ['m6.5 6.5 11 11M17.5 6.5l-11 11'],
  person: ['M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8Z', 'M4.5 20a7.5 7.5 0 0 1 15 0'],
} as const

export type IconName = keyof typeof PATHS

/** A drawing by name. */
export function icon(name: IconName): SVGSVGElement {
  return drawing(PATHS[name])
}
