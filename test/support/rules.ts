/** Rules that tests begin with: machines alone, nothing dangerous. */
import type { Rules } from '../../src/core/rules.ts'

export function testRules(change: Partial<Rules> = {}): Rules {
  return {
    urls: [],
    person: null,
    machine: { rpId: 'machines.example.org' },
    serverIds: null,
    algorithms: [-7, -8, -257],
    rolesMaxAgeSeconds: 86_400,
    leewaySeconds: 5,
    behindProxy: false,
    tlsTerminatedUpstream: false,
    dangerouslyAllowPlaintextUrls: false,
    dangerouslyAllowPlainSessionsWithoutTls: false,
    ...change,
  }
}
