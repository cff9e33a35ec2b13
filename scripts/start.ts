/** `npm start`: a deployment in ./local that stays. Ctrl-C ends the processes and keeps the state. */

import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Running, runCli, SHIPPED_PORTS, startNatsServer, startVerifier } from './local-deployment.ts'
import { findNatsServer } from './nats-server.ts'

const dir = fileURLToPath(new URL('../local', import.meta.url))
const processes: Running[] = []

async function begin(): Promise<void> {
  mkdirSync(dir, { recursive: true })
  const made = await runCli(dir, ['init', '.'])
  if (made.code !== 0) throw new Error(made.stderr)
  processes.push(await startNatsServer(findNatsServer(), dir))
  processes.push(await startVerifier(dir))
}

const NEXT = `
nats-server and the verifier are running; their files are in local/. In another terminal:

  cd local
  npx nats-webauthn invite desk --machine --role orders-service --out desk.ticket
  npx nats-webauthn enrol --url http://localhost:${SHIPPED_PORTS.enrolment} --ticket-file desk.ticket --key desk.key
  npx tsx ../examples/orders-service.ts desk.key
  npx nats-webauthn audit tail --follow
  npx nats-webauthn credential list

As a person, with a browser on this machine (the first prints the link to open):

  npx nats-webauthn invite alice --role orders-terminal
  npx nats-webauthn login --url http://localhost:${SHIPPED_PORTS.enrolment}

Ctrl-C here ends both and keeps their state.`

let code = 0
try {
  // Ctrl-C reaches the children by themselves, being in this process's group; this process waits for their end.
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve())
  })
  await begin()
  console.log(NEXT)
  await Promise.race([stopped, ...processes.map(({ child }) => once(child, 'exit'))])
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error))
  code = 1
}
// The verifier first: it drains to a nats-server that is still there.
for (const running of processes.toReversed()) await running.stop()
process.exit(code)
