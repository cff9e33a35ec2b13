/**
 * Whether nats-server is told the public keys of the seeds in use, as far as the file that `init` wrote tells. A wrong
 * issuer shows nowhere else before somebody is granted: nats-server refuses that grant just as it refuses a denial.
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Config, heldNext } from '../config.ts'
import type { CheckResult } from './check.ts'
import { publicKeyOf } from './deployment-files.ts'

const fileName = 'nats-server.keys.conf'

/** Null where the configuration at `configFile` has no such file beside it. The seeds must be readable. */
export function publicKeysCheck(config: Config, configFile: string): CheckResult | null {
  const path = join(dirname(configFile), fileName)
  if (!existsSync(path)) return null
  const named = new Map([...readFileSync(path, 'utf8').matchAll(/^(\w+)\s*[:=]\s*"?([A-Z0-9]+)"?/gm)].map(([, name, key]) => [name, key]))
  const seeds: [string, string | null][] = [
    ['VERIFIER_AUTH', config.nats.seedFiles.auth],
    ['VERIFIER_AUDIT', config.nats.seedFiles.audit],
    ['VERIFIER_SYS', config.nats.seedFiles.system],
    ['ISSUER', config.callout.issuerSeedFile],
    ['XKEY', config.callout.xkeySeedFile],
  ]
  // While keys rotate nats-server is told the next issuer and xkey, and the verifier holds both.
  const next = heldNext(config)
  const held = new Map([
    ['ISSUER', next?.issuerSeedFile],
    ['XKEY', next?.xkeySeedFile],
  ])
  const isNamed = (name: string, file: string | undefined) => file !== undefined && named.get(name) === publicKeyOf(file)
  const isNext = isNamed('ISSUER', held.get('ISSUER')) && isNamed('XKEY', held.get('XKEY'))
  const others = seeds.filter(
    ([name, file]) => file !== null && named.has(name) && !isNamed(name, file) && !(isNext && held.get(name) !== undefined),
  )
  return {
    name: 'public keys',
    passed: others.length === 0,
    detail:
      others.length === 0
        ? `${fileName} names those of the seeds${isNext ? ', of issuer and xkey the next ones' : ''}`
        : `${fileName} names others than the seeds have: ${others.map(([name]) => name).join(', ')}`,
  }
}
