/** Every area of the nightly run (docs/fuzzing.md), by name. */

import type { FuzzArea } from './fuzz-area.ts'
import { connectionsArea } from './fuzz-connections.ts'
import { differentialArea } from './fuzz-differential.ts'
import { httpArea } from './fuzz-http.ts'
import { parsersArea } from './fuzz-parsers.ts'

export const AREAS: Readonly<Record<string, () => FuzzArea | Promise<FuzzArea>>> = {
  connections: connectionsArea,
  differential: differentialArea,
  http: httpArea,
  parsers: () => parsersArea(),
}
