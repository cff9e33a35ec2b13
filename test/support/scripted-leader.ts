/** A stream's leader as caches meet it over a link, answering from what the test says it has. No server. */
import type { Link } from '../../src/nats/connection.ts'
import type { KvBucket } from '../../src/nats/kv-bucket.ts'
import { encodeRecord } from '../../src/nats/records-schema.ts'
import { identityRecord } from './records.ts'

export interface ScriptedLeader {
  bucket: KvBucket
  /** Its identities by revision, and how far it has come. */
  has: Map<number, { key: string; state: 'active' | 'disabled' }>
  /** Revision of the last write, as it says when it is asked about its stream; each answer takes one, the last one stays. */
  says: number[]
  /** The last revision that it has, whatever it says. */
  upTo: number
  /** From which revision on values were asked for, in order. */
  asked: number[]
  /** Keys that were read one by one, in order. */
  read: string[]
  /** Reads for values on their way, and the most there were. */
  underWay: { now: number; most: number }
  reconnect(): void
}

const NOT_FOUND = { error: { code: 404, err_code: 10_037, description: 'no message found' } }
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

export function scriptedLeader({ newest }: { newest: number }): ScriptedLeader {
  const listeners: ((connected: boolean) => void)[] = []
  const leader: Omit<ScriptedLeader, 'bucket'> = {
    has: new Map(),
    says: [newest],
    upTo: newest,
    asked: [],
    read: [],
    underWay: { now: 0, most: 0 },
    reconnect: () => {
      for (const connected of [false, true]) for (const listener of [...listeners]) listener(connected)
    },
  }
  const { has, says, asked, read, underWay } = leader
  const valueFrom = async (from: number): Promise<unknown> => {
    asked.push(from)
    underWay.most = Math.max(underWay.most, ++underWay.now)
    await turn()
    underWay.now--
    const revision = Math.min(...[...has.keys()].filter((one) => one >= from && one <= leader.upTo))
    const record = has.get(revision)
    if (record === undefined) return NOT_FOUND
    const value = encodeRecord(identityRecord('somebody', { handle: record.key as never, state: record.state }))
    return { message: { subject: `$KV.b.${record.key}`, seq: revision, data: Buffer.from(value).toString('base64') } }
  }
  const answer = async (subject: string, body: { seq?: number }): Promise<unknown> => {
    if (subject.includes('CONSUMER.CREATE')) return { num_pending: 0 }
    if (subject.includes('MSG.GET')) return valueFrom(body.seq ?? 0)
    const sequence = says.length > 1 ? says.shift() : says[0]
    return { created: '', state: { messages: 2, first_seq: 1, last_seq: sequence } }
  }
  const link = {
    inboxPrefix: '_INBOX_test',
    isConnected: () => true,
    onChange: (listener: (connected: boolean) => void) => listeners.push(listener) && (() => {}),
    nats: { subscribe: () => ({ unsubscribe: () => {} }) },
    ask: async ({ subject, body }: { subject: string; body: string }) => {
      const said = await answer(subject, JSON.parse(body))
      return { json: () => said }
    },
  } as unknown as Link
  const find: KvBucket['find'] = async (key) => {
    read.push(key)
    return { key, revision: newest, value: encodeRecord(identityRecord(key, { state: 'disabled' })) }
  }
  return Object.assign(leader, {
    bucket: { name: 'b', link, find, write: async () => null, erase: async () => false, eraseUnasked: () => {} },
  })
}
