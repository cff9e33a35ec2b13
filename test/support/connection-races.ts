/** Races about connections, over each verifier's own stores: what two verifiers do that are asked at the same moment, or one right after the other. */
import { credentialKey } from '../../src/core/identifiers.ts'
import { testNkey } from './authorization-request.ts'
import { until } from './links.ts'
import { type TestIdentity, writeIdentity } from './product.ts'
import { boundResume, endorsing, proof } from './proofs.ts'
import { type AskedConnection, FEW, newConnection, RACE_URL, type RaceField } from './race-field.ts'
import { pairOf, type RaceKind, verdictsOf, violationsOf } from './races.ts'

const FORMS = ['proof', 'counting', 'endorsing', 'resume'] as const
/** How much later the server asks again: an expiry that is counted anew is another one. */
const laterMs = 2_000

/** A machine; with `counts`, its key cannot be copied and counts, so that a regression would quarantine it. */
function enrolled({ rivals }: RaceField, handle: string, counts: boolean): Promise<TestIdentity> {
  const change = counts ? { backupEligible: false, backupState: false } : {}
  return writeIdentity(rivals[0]?.link.nats ?? fail(), handle, { roles: ['racer'], change })
}

function fail(): never {
  throw new Error('racing on an empty field')
}

/** CONNECT fields for connections of `who`, whose counter goes on with each. */
function prover(field: RaceField, who: TestIdentity, counter: TestIdentity) {
  let count = 0
  return {
    count: () => count,
    next: () => ++count,
    proof: ({ nonce }: AskedConnection) => proof(who, { nonce, url: RACE_URL }),
    counting: ({ nonce }: AskedConnection) => proof(counter, { nonce, url: RACE_URL, assertion: { signCount: count, flags: 0 } }),
    /** Endorses an nkey of its own each time. */
    endorsing: ({ nonce }: AskedConnection, session = testNkey('U')) => endorsing({ ...who, session }, { nonce, url: RACE_URL }),
    resume: async (connection: AskedConnection) => {
      const session = testNkey('U')
      const before = newConnection()
      await field.rivals[0]?.ask(before, endorsing({ ...who, session }, { nonce: before.nonce, url: RACE_URL }))
      return boundResume(session, { nonce: connection.nonce, url: RACE_URL })
    },
  }
}

async function reaskLane(field: RaceField, handle: string) {
  const who = await enrolled(field, handle, false)
  const counter = await enrolled(field, `${handle}-counts`, true)
  const proves = prover(field, who, counter)
  const credential = async () => (await field.rivals[0]?.stores.credentials.findOnLeader(credentialKey(counter.credential.id)))?.record
  const session = async (nkey: string | undefined) => (await field.rivals[0]?.stores.sessions.findOnLeader(nkey as never))?.record
  return { proves, credential, session }
}

const reask: RaceKind<RaceField> = {
  name: 're-ask',
  promise: 'a proof asked about again at another verifier keeps its expiry, and nothing is refused, quarantined or written twice',
  async lane(field, lane) {
    const { proves, credential, session } = await reaskLane(field, `reask-${lane}`)
    return async (n) => {
      const form = FORMS[Math.floor(n / field.rivals.length) % FORMS.length] ?? 'proof'
      const [first, other] = pairOf(field.rivals, n)
      const connection = newConnection()
      if (form === 'counting') proves.next()
      const fields: { sig: string; nkey?: string } = await proves[form](connection)
      const one = await first.ask(connection, fields)
      const told = (await other.stores.guard.find(connection.key)) !== null
      const two = await other.ask(connection, fields, laterMs)
      const there = form === 'counting' ? await credential() : null
      const endorsed = form === 'endorsing' ? await session(fields.nkey) : null
      const checks = {
        'the first is granted': one.verdict.startsWith('granted.') && one.verdict !== 'granted.reasked',
        'the second is granted as asked again': two.verdict === 'granted.reasked',
        'the expiry stays': one.exp !== null && one.exp === two.exp,
        'no quarantine': !there || (there.state === 'active' && there.signCount === proves.count()),
        'the session stays': !endorsed || (endorsed.state === 'active' && endorsed.createdAt < Date.now() + laterMs - 1_000),
      }
      return {
        outcome: `${form}, ${told ? 'told' : 'not told'}`,
        violations: violationsOf(checks, { form, told, one, two, there, endorsed }),
      }
    }
  },
}

const atOnce: RaceKind<RaceField> = {
  name: 'ask at once',
  promise: 'of a proof asked about at two verifiers at once one is the first, the other ends no later, and nobody is quarantined',
  async lane(field, lane) {
    const { proves, credential } = await reaskLane(field, `at-once-${lane}`)
    return async (n) => {
      const form = FORMS[Math.floor(n / field.rivals.length) % FORMS.length] ?? 'proof'
      const connection = newConnection()
      if (form === 'counting') proves.next()
      const fields = await proves[form](connection)
      const asked = await Promise.all(pairOf(field.rivals, n).map((rival) => rival.ask(connection, fields)))
      const granted = asked.filter(({ exp }) => exp !== null)
      const firsts = granted.filter(({ verdict }) => verdict !== 'granted.reasked')
      const there = form === 'counting' ? await credential() : null
      const checks = {
        'one is granted': granted.length > 0,
        'one is the first': firsts.length === 1,
        'and none ends later': granted.every(({ exp }) => Number(exp) <= Number(firsts[0]?.exp)),
        'only the count is raced for': asked.every(({ exp, verdict }) => exp !== null || (there && verdict === 'denied.sign_count_race')),
        'no quarantine': !there || (there.state === 'active' && there.signCount === proves.count()),
      }
      return { outcome: `${form}: ${verdictsOf(asked)}`, violations: violationsOf(checks, { form, asked, there }) }
    }
  },
}

const signCount: RaceKind<RaceField> = {
  name: 'one signCount',
  promise: 'of two connections with one signCount at two verifiers one is granted, and the credential stays active',
  async lane(field, lane) {
    const { proves, credential } = await reaskLane(field, `count-${lane}`)
    return async (n) => {
      proves.next()
      const asked = await Promise.all(
        pairOf(field.rivals, n).map((rival) => {
          const connection = newConnection()
          return rival.ask(connection, proves.counting(connection))
        }),
      )
      const there = await credential()
      const checks = {
        'one is granted, the other lost a race': verdictsOf(asked) === 'denied.sign_count_race granted.proof',
        'no quarantine': there?.state === 'active',
        'the count moved once': there?.signCount === proves.count(),
      }
      return { outcome: verdictsOf(asked), violations: violationsOf(checks, { asked, there }) }
    }
  },
}

const nkey: RaceKind<RaceField> = {
  name: 'one nkey',
  promise: 'an nkey that two credentials endorse at two verifiers is one credential’s; two connections of one credential make one session',
  async lane(field, lane) {
    const two = [await enrolled(field, `nkey-${lane}-a`, false), await enrolled(field, `nkey-${lane}-b`, false)] as const
    return async (n) => {
      const same = n % 4 === 3
      const session = testNkey('U')
      const owners = same ? [two[0], two[0]] : n % 2 === 0 ? two : two.toReversed()
      const asked = await Promise.all(
        pairOf(field.rivals, n).map((rival, i) => {
          const connection = newConnection()
          return rival.ask(connection, endorsing({ ...(owners[i] as TestIdentity), session }, { nonce: connection.nonce, url: RACE_URL }))
        }),
      )
      const there = (await field.rivals[2 % field.rivals.length]?.stores.sessions.findOnLeader(session.publicKey as never))?.record
      const winners = asked.flatMap(({ exp }, i) => (exp === null ? [] : [owners[i] as TestIdentity]))
      const checks = {
        'as many granted as may be':
          verdictsOf(asked) ===
          (same ? 'granted.proof_endorsing granted.proof_endorsing' : 'denied.endorsement_refused granted.proof_endorsing'),
        'the session is active': there?.state === 'active',
        'and the winner’s': winners.length > 0 && winners.every(({ credential }) => there?.credential === credentialKey(credential.id)),
      }
      const outcome = `${same ? 'one credential' : 'two credentials'}: ${verdictsOf(asked)}`
      return { outcome, violations: violationsOf(checks, { same, asked, there }) }
    }
  },
}

const connectionLimit: RaceKind<RaceField> = {
  name: 'connection limit',
  promise:
    'connection limit: of connections that come at once to all verifiers as many are admitted as the limit leaves, no more and no fewer',
  async lane(field, lane) {
    const { rivals } = field
    return async (n) => {
      const held = n % FEW
      const who = await writeIdentity(rivals[0]?.link.nats ?? fail(), `limit-${lane}-${n}`, { roles: ['few'] })
      const counts = () => rivals.map(({ stores }) => stores.guard.connectionsOf(who.credential.handle))
      const come = async (rival = rivals[0] ?? fail(), connection = newConnection()) => {
        const fields = proof(who, { nonce: connection.nonce, url: RACE_URL })
        return { rival, connection, fields, ...(await rival.ask(connection, fields)) }
      }
      for (let i = 0; i < held; i++) await come()
      await until('all know who is there', () => counts().every((count) => count === held))
      // As many at each verifier as there are places in all, or one.
      const asked = await Promise.all((n % 4 < 2 ? rivals : [...rivals, ...rivals]).map((rival) => come(rival)))
      const admitted = asked.filter(({ exp }) => exp !== null)
      const again = admitted[0]
      const reasked = again && (await pairOf(rivals, rivals.indexOf(again.rival))[1].ask(again.connection, again.fields))
      await until('all know who is left', () => counts().every((count) => count === FEW))
      const checks = {
        'no more and no fewer than the limit': admitted.length === FEW - held,
        'the others are denied for it': asked.every(({ exp, verdict }) => exp !== null || verdict === 'denied.connection_limit'),
        'who is asked about again takes no place': reasked?.verdict === 'granted.reasked',
      }
      const verdicts = verdictsOf(asked)
      return { outcome: `${held} of ${FEW} taken: ${verdicts}`, violations: violationsOf(checks, { verdicts, reasked, counts: counts() }) }
    }
  },
}

export const CONNECTION_RACES: readonly RaceKind<RaceField>[] = [reask, atOnce, signCount, nkey, connectionLimit]
