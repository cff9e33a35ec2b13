/** The same races through real sockets: clients that dial nats-server, machines and browsers that speak HTTP. */
import { type CredentialKey, credentialKey } from '../../src/core/identifiers.ts'
import { testNkey } from './authorization-request.ts'
import { newTicket } from './enrolment-races.ts'
import { type Answer, machine } from './enrolment-service.ts'
import { visitor } from './people-cluster.ts'
import type { TestIdentity } from './product.ts'
import { endorsing, proof } from './proofs.ts'
import { pairOf, type RaceKind, violationsOf } from './races.ts'
import type { Logged, SocketField } from './socket-field.ts'

const keyOf = ({ credential }: TestIdentity): CredentialKey => credentialKey(credential.id)
const urlOf = ({ field }: SocketField, n: number): string => field.nodes[n % field.nodes.length]?.url ?? ''
/** Whether nats-server asked two verifiers: only then it was a race between them. */
const apart = (logged: readonly Logged[]): string =>
  new Set(logged.map(({ verifier }) => verifier)).size > 1 ? 'two verifiers' : 'one verifier'

const reask: RaceKind<SocketField> = {
  name: 're-ask, sockets',
  promise: 'a second CONNECT with the same proof, right after the first, is granted until the same second',
  async lane(its, lane) {
    const who = await its.enrolled(`socket-reask-${lane}`)
    const counter = await its.enrolled(`socket-reask-counts-${lane}`, true)
    let signCount = 0
    return async (n) => {
      const raw = await its.dial(n)
      const about = { nonce: raw.info.nonce, url: urlOf(its, n) }
      const fields =
        n % 3 === 0
          ? proof(who, about)
          : n % 3 === 1
            ? proof(counter, { ...about, assertion: { signCount: ++signCount, flags: 0 } })
            : endorsing({ ...who, session: testNkey('U') }, about)
      const answers = [await raw.connect(fields), await raw.connect(fields)]
      raw.close()
      const logged = await its.verdictsOn(raw, 2)
      const [one, two] = logged
      const checks = {
        'both are answered': answers.join(' ') === 'PONG PONG',
        'the second is asked again': two?.verdict === 'granted.reasked' && one?.verdict !== 'granted.reasked',
        'the expiry stays': one?.exp !== null && one?.exp === two?.exp,
      }
      return { outcome: apart(logged), violations: violationsOf(checks, { answers, logged }) }
    }
  },
}

/** Two connections at once, each with fields of its own. */
async function twoAtOnce(
  its: SocketField,
  n: number,
  fieldsOf: (i: number, about: { nonce: string; url: string }) => { sig: string; nkey?: string },
) {
  const raws = [await its.dial(n), await its.dial(n + 1)]
  const answers = await Promise.all(raws.map((raw, i) => raw.connect(fieldsOf(i, { nonce: raw.info.nonce, url: urlOf(its, n + i) }))))
  for (const raw of raws) raw.close()
  const logged = (await Promise.all(raws.map((raw) => its.verdictsOn(raw, 1)))).flat()
  return {
    answers,
    logged,
    verdicts: logged
      .map(({ verdict }) => verdict)
      .sort()
      .join(' '),
  }
}

const signCount: RaceKind<SocketField> = {
  name: 'one signCount, sockets',
  promise: 'of two connections with one signCount one is granted, and the credential stays active',
  async lane(its, lane) {
    const counter = await its.enrolled(`socket-count-${lane}`, true)
    let count = 0
    return async (n) => {
      count++
      const raced = await twoAtOnce(its, n, (_, about) => proof(counter, { ...about, assertion: { signCount: count, flags: 0 } }))
      const there = await its.stores.credentials.findOnLeader(keyOf(counter))
      const checks = {
        'one is granted, the other lost a race': raced.verdicts === 'denied.sign_count_race granted.proof',
        'no quarantine': there?.record.state === 'active' && there.record.signCount === count,
      }
      return { outcome: apart(raced.logged), violations: violationsOf(checks, { raced, there }) }
    }
  },
}

const nkey: RaceKind<SocketField> = {
  name: 'one nkey, sockets',
  promise: 'of two credentials that endorse one nkey one gets it',
  async lane(its, lane) {
    const two = [await its.enrolled(`socket-nkey-${lane}-a`), await its.enrolled(`socket-nkey-${lane}-b`)]
    return async (n) => {
      const session = testNkey('U')
      const raced = await twoAtOnce(its, n, (i, about) => endorsing({ ...(two[i] as TestIdentity), session }, about))
      const there = await its.stores.sessions.findOnLeader(session.publicKey as never)
      const winner = two[raced.answers.indexOf('PONG')]
      const checks = {
        'one is granted': raced.verdicts === 'denied.endorsement_refused granted.proof_endorsing',
        'the session is active and the winner’s':
          there?.record.state === 'active' && winner !== undefined && there.record.credential === keyOf(winner),
      }
      return { outcome: apart(raced.logged), violations: violationsOf(checks, { raced, there }) }
    }
  },
}

type Posted = Pick<Answer, 'status' | 'body'>

/** A machine on a host of its own that asks the verifier at `port`. */
function machineAt({ product }: SocketField, port: number, ticket: string) {
  const who = visitor(product)
  return machine<Posted>({ origin: product.enrolmentOrigin, post: (path, body) => who.terminal(path, body, port) }, ticket)
}

const answerOf = ({ status, body }: Posted): string => (status === 200 ? '200' : String(body?.error?.code))

const ticket: RaceKind<SocketField> = {
  name: 'one ticket, sockets',
  promise: 'of two machines that spend one ticket at two verifiers one is enrolled',
  async lane(its, lane) {
    const [rival] = its.field.rivals
    return async (n) => {
      const text = await newTicket(rival ?? fail(), `socket-ticket-${lane}-${n}`)
      const machines = pairOf(its.ports, n).map((port) => machineAt(its, port, text))
      const registered = await Promise.all(machines.map(async ({ begin, register }) => register(await begin())))
      const answers = (await Promise.all(machines.map(({ activate }, i) => activate(registered[i] as Posted)))).map(answerOf)
      const states = await Promise.all(
        machines.map(async (one) => (await its.stores.credentials.findOnLeader(credentialKey(one.credentialId as never)))?.record.state),
      )
      const checks = {
        'one is enrolled': answers.filter((answer) => answer === '200').length === 1,
        'one credential is active': [...states].sort().join(' ') === 'active pending',
      }
      return { outcome: [...answers].sort().join(' '), violations: violationsOf(checks, { answers, states }) }
    }
  },
}

const handle: RaceKind<SocketField> = {
  name: 'one handle, sockets',
  promise: 'a handle that a machine and a person were both invited to is one’s',
  async lane(its, lane) {
    const [rival] = its.field.rivals
    return async (n) => {
      const name = `socket-handle-${lane}-${n}`
      const [one, other] = pairOf(its.ports, n)
      const enrolling = machineAt(its, one, await newTicket(rival ?? fail(), name))
      const registered = await enrolling.register(await enrolling.begin())
      const invited = await newTicket(rival ?? fail(), name, { class: 'person' })
      const page = visitor(its.product).at(other)
      const posted = await Promise.all([enrolling.activate(registered), page.post('/v1/login/ticket', { ticket: invited })])
      const answers = posted.map(answerOf)
      const there = (await its.stores.identities.findOnLeader(name as never))?.record
      const won = answers.indexOf('200')
      const checks = {
        'one gets it': answers.filter((answer) => answer === '200').length === 1,
        'the record is theirs': there?.class === (won === 0 ? 'machine' : 'person'),
      }
      return {
        outcome: `${won === 0 ? 'the machine' : 'the person'}: ${answers.join(' ')}`,
        violations: violationsOf(checks, { answers, there }),
      }
    }
  },
}

function fail(): never {
  throw new Error('racing on an empty field')
}

export const SOCKET_RACES: readonly RaceKind<SocketField>[] = [reask, signCount, nkey, ticket, handle]
