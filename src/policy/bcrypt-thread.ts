/** A thread that compares secrets with bcrypt hashes: on the verdicts' own, each would hold them up for a tenth of a second. */
import { Worker } from 'node:worker_threads'

/** One comparison. */
export interface Comparison {
  secret: string
  hash: string
}

export interface BcryptThread {
  /** One at a time: the next only after the one before has answered. Rejects when the thread fails. */
  compare(comparison: Comparison): Promise<boolean>
  stop(): Promise<void>
}

// Written out, because a thread loads JavaScript alone, also where these sources are run as they are.
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads')
const loading = import(workerData)
parentPort.on('message', async ({ secret, hash }) => parentPort.postMessage((await loading).compareSync(secret, hash)))
`

/** The thread is started when it is first needed, and again after it failed. */
export function bcryptThread(): BcryptThread {
  let worker: Worker | null = null
  return {
    compare: (comparison) =>
      new Promise((resolve, reject) => {
        const thread = worker ?? new Worker(PROGRAM, { eval: true, workerData: import.meta.resolve('bcryptjs') })
        worker = thread
        const answered = (matches: boolean): void => {
          settle()
          resolve(matches)
        }
        const failed = (cause: unknown): void => {
          settle()
          worker = null
          reject(new Error('comparing a secret with its hash', { cause }))
        }
        const ended = (code: number): void => failed(new Error(`the thread ended with ${code}`))
        const settle = (): void => {
          thread.off('message', answered).off('error', failed).off('exit', ended)
          thread.unref()
        }
        thread.on('message', answered).on('error', failed).on('exit', ended)
        // A process that ends does not wait for an idle thread, but for an answer it does.
        thread.ref()
        thread.postMessage(comparison)
      }),
    async stop() {
      const thread = worker
      worker = null
      await thread?.terminate()
    },
  }
}
