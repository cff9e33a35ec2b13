/** A deployment made by `init` on free ports, for tests that type commands. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  beginVerifier,
  type Finished,
  freePorts,
  movePorts,
  type Ports,
  type Running,
  runCli,
  startNatsServer,
  startVerifier,
} from '../../scripts/local-deployment.ts'
import { findNatsServer, type NatsServerLine } from '../../scripts/nats-server.ts'
import { writeDeployment } from '../../src/cli/deployment-files.ts'

export interface Local {
  dir: string
  ports: Ports
  /** Types one command. */
  cli(args: readonly string[], stdin?: string): Promise<Finished>
  startNats(): Promise<Running>
  startVerifier(): Promise<Running>
  /** A verifier that is perhaps never ready. */
  beginVerifier(): Running
  /** Ends everything that was started, and removes the directory. */
  end(): Promise<void>
}

export async function makeLocal(line?: NatsServerLine): Promise<Local> {
  const dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-local-'))
  writeDeployment(dir)
  const [nats = 0, websocket = 0, monitor = 0, enrolment = 0, operations = 0] = await freePorts(5)
  const ports = { nats, websocket, monitor, enrolment, operations }
  movePorts(dir, ports)
  const running: Running[] = []
  const begun = (process: Running): Running => {
    running.push(process)
    return process
  }
  const started = async (starting: Promise<Running>): Promise<Running> => {
    return begun(await starting)
  }
  return {
    dir,
    ports,
    cli: (args, stdin = '') => runCli(dir, args, { stdin }),
    startNats: () => started(startNatsServer(findNatsServer(line), dir)),
    startVerifier: () => started(startVerifier(dir)),
    beginVerifier: () => begun(beginVerifier(dir)),
    end: async () => {
      for (const process of running.toReversed()) await process.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
