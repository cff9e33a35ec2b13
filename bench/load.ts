/** Connections by raw sockets, from the bench's own process: the figures are of the verifier, not of a client library. */
import { rawClient } from '../test/support/raw-client.ts'
import { percentile } from './measure.ts'
import { cpuMicrosOf } from './process-figures.ts'

export interface Load {
  connections: number
  concurrency: number
}

export interface ConnectionFigures {
  /** Of the measured process, for one connection. */
  cpuMicros: number
  perSecond: number
  p50Ms: number
  p99Ms: number
  /** Of all. More than none means that the machine had no time for them. */
  refused: number
}

export interface LoadTarget {
  /** Of nats-server. */
  port: number
  /** The process whose CPU is measured. */
  pid: number
  /** CONNECT fields of the connection with this number. */
  fields(nonce: string, index: number): Record<string, unknown>
}

const connectMsMax = 60_000
const refusedShareMax = 0.1

/** Opens that many connections, each to be admitted, and closes each at once. Throws when many are not. */
export async function connectMany({ port, pid, fields }: LoadTarget, { connections, concurrency }: Load): Promise<ConnectionFigures> {
  const latencies: number[] = []
  let next = 0
  let refused = 0
  const cpuBefore = cpuMicrosOf(pid)
  const begun = performance.now()
  const endsAt = begun + connectMsMax
  async function some(): Promise<void> {
    while (next < connections && performance.now() < endsAt) {
      const index = next++
      const client = await rawClient(port)
      const connect = fields(client.info.nonce, index)
      const sent = performance.now()
      const answer = await client.connect(connect)
      latencies.push(performance.now() - sent)
      client.close()
      if (answer !== 'PONG' && ++refused > connections * refusedShareMax) throw new Error(`benching connections: ${answer}`)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, some))
  const seconds = (performance.now() - begun) / 1000
  return {
    cpuMicros: (cpuMicrosOf(pid) - cpuBefore) / latencies.length,
    perSecond: latencies.length / seconds,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    refused,
  }
}
