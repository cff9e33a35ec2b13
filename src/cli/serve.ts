/** `serve`: runs a verifier until it is told to stop. */
import { once } from 'node:events'
import { ConfigInvalid } from '../config.ts'
import { CONFIG_OPTION, type Command, type CommandInput, type CommandIo } from './command.ts'
import { loadConfig } from './config-file.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'

export const serve: Command = {
  name: 'serve',
  summary: 'Run a verifier: SIGHUP reads the policy again, SIGTERM drains.',
  usage: '[-c FILE]',
  examples: ['nats-webauthn serve', 'nats-webauthn serve -c /etc/nats-webauthn/nats-webauthn.yaml'],
  options: CONFIG_OPTION,
  positionals: { min: 0, max: 0 },
  run: (input, io) => runVerifier(input, io),
}

async function runVerifier(input: CommandInput, io: CommandIo): Promise<ExitCode> {
  const config = loadConfig(input, io)
  // Everything that serves is loaded here, so that the other commands start without it.
  const [{ startVerifier }, { OperationsConfigError }] = await Promise.all([
    import('../main.ts'),
    import('../observability/secret-file.ts'),
  ])
  const stopSignal = io.stopSignal()
  const stopped = stopSignal.aborted ? Promise.resolve() : once(stopSignal, 'abort')
  const starting = startVerifier(config)
  const verifier = await Promise.race([starting, stopped.then(() => null)]).catch((error: unknown) => {
    throw error instanceof OperationsConfigError ? new ConfigInvalid([error.message]) : error
  })
  if (verifier === null) {
    // Still waiting for NATS: nothing was taken, so there is nothing to drain.
    io.say('nats-webauthn: stopped before it was ready')
    process.exit(EXIT.ok)
  }
  const reload = () => void verifier.reloadPolicy()
  process.on('SIGHUP', reload)
  await stopped
  await verifier.stop()
  process.off('SIGHUP', reload)
  return EXIT.ok
}
