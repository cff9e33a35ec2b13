/** A deployment made by `init` whose verifier, in this process, and whose nats-server come and go: for backups and rotations. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect, type NatsConnection, nkeyAuthenticator } from 'nats'
import { freePorts, type Running, startNatsServer } from '../../scripts/local-deployment.ts'
import { findNatsServer, type NatsServerLine } from '../../scripts/nats-server.ts'
import { COMMANDS } from '../../src/cli/commands.ts'
import { run } from '../../src/cli/run.ts'
import { readConfig, readSecretFile } from '../../src/config.ts'
import { credentialKey } from '../../src/core/identifiers.ts'
import type { CredentialRecord, IdentityRecord } from '../../src/core/records.ts'
import { startVerifier } from '../../src/main.ts'
import { type TestNkey, testNkey } from './authorization-request.ts'
import { type Local, makeLocal } from './local.ts'
import { memoryIo } from './memory-io.ts'
import type { TestIdentity } from './product.ts'
import { boundResume, endorsing, proof } from './proofs.ts'
import { rawClient } from './raw-client.ts'
import { credentialRecord, identityRecord, roleOf } from './records.ts'
import { b64u, FLAGS, testKey } from './test-authenticator.ts'

export interface Typed {
  code: number
  out: string[]
  err: string[]
}

/** What nats-server said to a connection, and what the trail says of it: `outcome.reason`. */
export interface Answered {
  answer: string
  verdict: string
}

export interface Keeping {
  local: Local
  dir: string
  configFile: string
  /** `nats://localhost:PORT`. */
  url: string
  /** Types a command in this process. */
  cli(args: readonly string[], stdin?: string): Promise<Typed>
  /** The same, which must succeed; its lines of data. */
  done(args: readonly string[], stdin?: string): Promise<string[]>
  startVerifier(): Promise<void>
  stopVerifier(): Promise<void>
  /** Two verifiers, for rotations: they are restarted one after the other, so that one always answers. */
  startBoth(): Promise<void>
  restartBoth(): Promise<void>
  startNats(): Promise<Running>
  stopNats(): Promise<void>
  /** Ends nats-server, takes the JetStream stores of these accounts away, and starts it again. */
  loseStores(...accounts: string[]): Promise<void>
  /** A connection as one of the deployment's own users. */
  as(seedFile: string, inboxPrefix: string): Promise<NatsConnection>
  /** Invites and enrols a machine; where its key is, and its credential id. */
  enrol(handle: string): Promise<{ key: string; id: string }>
  /** Writes a machine straight into the buckets, as no enrolment makes it; one that counts, unless told otherwise. */
  write(handle: string, changes?: { credential?: Partial<CredentialRecord>; identity?: Partial<IdentityRecord> }): Promise<TestIdentity>
  /** Proves on a new connection, and has an nkey endorsed. */
  prove(who: TestIdentity, options?: { signCount?: number; endorse?: TestNkey }): Promise<Answered>
  /** Comes back by a session nkey. */
  resume(session: TestNkey): Promise<Answered>
  end(): Promise<void>
}

const POLICY = `version: 1
roles:
  orders-writer:
    account: APP
    publish: { allow: ["orders.{{user}}.>"] }
    session: 24h
    plain_sessions: true
  orders-reader:
    account: APP
    subscribe: { allow: ["orders.>"] }
`

export async function startKeeping(line: NatsServerLine): Promise<Keeping> {
  const local = await makeLocal(line)
  const { dir, ports } = local
  writeFileSync(join(dir, 'policy.yaml'), POLICY)
  // A request that was on its way when nats-server or the last verifier ended is waited for in vain, this long.
  const conf = join(dir, 'nats-server.conf')
  writeFileSync(conf, readFileSync(conf, 'utf8').replace('\n  timeout: 5\n', '\n  timeout: 2\n'))
  const configFile = join(dir, 'nats-webauthn.yaml')
  const seed = (file: string) => new TextEncoder().encode(readSecretFile(join(dir, 'keys', file)))
  let nats: Running | null = null
  const verifiers = new Map<string, Awaited<ReturnType<typeof startVerifier>>>()
  const start = async (file: string) => {
    verifiers.set(file, await startVerifier({ ...readConfig(file), logLevel: 'error' }))
  }
  const stop = async (file: string) => {
    await verifiers.get(file)?.stop()
    verifiers.delete(file)
  }
  const secondFile = join(dir, 'second.yaml')
  const offer = async (fields: (dialled: { nonce: string; url: string }) => object): Promise<Answered> => {
    const auditor = await keeping.as('auditor.seed', '_INBOX_auditor')
    const records = auditor.subscribe('audit.webauthn.>')
    await auditor.flush()
    const raw = await rawClient(ports.nats)
    const answer = await raw.connect({ ...fields({ nonce: raw.info.nonce, url: keeping.url }) })
    let verdict = ''
    for await (const { subject, data } of records) {
      if (!Buffer.from(data).includes(`"client_id":${raw.info.client_id},`)) continue
      verdict = subject.split('.').slice(-2).join('.')
      break
    }
    raw.close()
    await auditor.close()
    return { answer, verdict }
  }
  const keeping: Keeping = {
    local,
    dir,
    configFile,
    url: `nats://localhost:${ports.nats}`,
    async cli(args, stdin = '') {
      const io = memoryIo({ stdin })
      const takesConfig = COMMANDS.find(({ name }) => args.join(' ').startsWith(name))?.options['config'] !== undefined
      const code = await run(takesConfig ? [...args, '-c', configFile] : args, COMMANDS, io)
      return { code, out: io.stdout, err: io.stderr }
    },
    async done(args, stdin) {
      const { code, out, err } = await keeping.cli(args, stdin)
      assert.equal(code, 0, `${args.join(' ')}: ${err.join('\n')}`)
      return out
    },
    startVerifier: () => start(configFile),
    stopVerifier: () => stop(configFile),
    async startBoth() {
      const [enrolment, operations] = await freePorts(2)
      const text = readFileSync(configFile, 'utf8')
      const moved = text.replaceAll(`:${ports.enrolment}`, `:${enrolment}`).replaceAll(`:${ports.operations}`, `:${operations}`)
      writeFileSync(secondFile, moved)
      await start(configFile)
      await start(secondFile)
    },
    async restartBoth() {
      for (const file of [configFile, secondFile]) {
        await stop(file)
        await start(file)
      }
    },
    startNats: async () => {
      nats = await startNatsServer(findNatsServer(line), dir)
      return nats
    },
    async stopNats() {
      await nats?.stop()
      nats = null
    },
    async loseStores(...accounts) {
      await keeping.stopNats()
      const stores = join(dir, 'data/jetstream/jetstream')
      for (const account of accounts) {
        assert.ok(existsSync(join(stores, account)), readdirSync(stores).join(' '))
        rmSync(join(stores, account), { recursive: true })
      }
      await keeping.startNats()
    },
    as: (seedFile, inboxPrefix) =>
      connect({ servers: `127.0.0.1:${ports.nats}`, authenticator: nkeyAuthenticator(seed(seedFile)), inboxPrefix }),
    async enrol(handle) {
      const [ticket = ''] = await keeping.done(['invite', handle, '--machine', '--role', 'orders-writer'])
      const key = join(dir, `${handle}-${Date.now()}.key`)
      const args = ['enrol', '--url', `http://localhost:${ports.enrolment}`, '--key', key, '--json']
      const [enrolled = '{}'] = await keeping.done(args, ticket)
      return { key, id: (JSON.parse(enrolled) as { credential_id: string }).credential_id }
    },
    async write(handle, changes = {}) {
      const key = testKey()
      const identity = identityRecord(handle, { roles: rolesOf('orders-writer'), ...changes.identity })
      const credential = credentialRecord({
        publicKey: b64u(key.cose),
        backupEligible: false,
        rpId: 'machines.internal',
        handle: identity.handle,
        userHandle: identity.userHandle,
        ...changes.credential,
      })
      const auth = await keeping.as('verifier/auth.seed', '_INBOX_verifier')
      const put = (subject: string, value: object) => auth.jetstream().publish(`$KV.${subject}`, JSON.stringify(value))
      await put(`webauthn_identities.${handle}`, identity)
      await put(`webauthn_credentials.${credentialKey(credential.id)}`, credential)
      await auth.close()
      return { key, credential, identity, session: testNkey('U') }
    },
    prove: (who, { signCount = 0, endorse } = {}) =>
      offer((dialled) => {
        const input = { ...dialled, assertion: { signCount, flags: who.credential.backupEligible ? FLAGS.BE : 0 } }
        return endorse === undefined ? proof(who, input) : endorsing({ ...who, session: endorse }, input)
      }),
    resume: (session) => offer((dialled) => boundResume(session, dialled)),
    async end() {
      for (const file of verifiers.keys()) await stop(file)
      await keeping.stopNats()
      await local.end()
    },
  }
  await keeping.startNats()
  return keeping
}

export function rolesOf(...names: string[]): IdentityRecord['roles'] {
  return names.map((name) => ({ name: roleOf(name), source: 'assigned', asOf: 1 }))
}
