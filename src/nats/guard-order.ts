/**
 * How far the watch of the guard's bucket has told. Revisions are the order in which connections were claimed, the same with
 * every verifier: whoever has been told of its own claim has been told of all that were before it (ADR-0015).
 */
import { StoreUnavailable } from '../core/ports.ts'

/** As long as one read or write of the leader may take. */
const waitMsMax = 1_000

export class GuardOrder {
  readonly #bucket: string
  readonly #waitMsMax: number
  /** The last revision of this pass. */
  #toldUpTo = 0
  readonly #waiting = new Set<{ revision: number; tell: () => void }>()

  /** `bucket`: its name, for errors. */
  constructor(bucket: string, msMax = waitMsMax) {
    this.#bucket = bucket
    this.#waitMsMax = msMax
  }

  /** The watch begins, perhaps anew: what it was not told of while it was away it tells again, in order. */
  began(): void {
    this.#toldUpTo = 0
  }

  told(revision: number): void {
    this.#toldUpTo = revision
    for (const one of this.#waiting) if (one.revision <= revision) one.tell()
  }

  hasTold(revision: number): boolean {
    return revision <= this.#toldUpTo
  }

  /** Resolves when the watch has told of everything up to `revision`. Throws StoreUnavailable when it does not in time. */
  async reached(revision: number): Promise<void> {
    if (this.hasTold(revision)) return
    let timer: NodeJS.Timeout | undefined
    let tell = () => {}
    const told = new Promise<void>((resolve, reject) => {
      tell = resolve
      timer = setTimeout(() => reject(new StoreUnavailable(`watching ${this.#bucket}: it does not tell of a claim`)), this.#waitMsMax)
    })
    const one = { revision, tell }
    this.#waiting.add(one)
    try {
      await told
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(one)
    }
  }
}
