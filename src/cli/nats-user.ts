/** Connections of the CLI as one of the deployment's own users: an administrator, an auditor, or the verifier itself. */
import { type Config, readSeed } from '../config.ts'
import { type Link, openLink } from '../nats/connection.ts'
import { readPem, tlsOptions } from '../verifier-links.ts'
import { type CommandInput, type CommandIo, type OptionSpec, UsageError } from './command.ts'
import { loadConfigIfAny } from './config-file.ts'

/** For commands that can do without nats-webauthn.yaml. */
export const SERVER_OPTIONS = {
  server: { type: 'string', value: 'URL', help: 'The nats-server; nats.servers of the configuration otherwise.' },
  'tls-ca-file': { type: 'string', value: 'FILE', help: "Authorities that sign the server's certificate." },
} as const satisfies Record<string, OptionSpec>

export interface User {
  name: string
  inboxPrefix: string
  seedFile: string
}

/** Connects as the user that `choose` finds in the configuration or the options, does `work`, and leaves. */
export async function asUser<T>(
  input: CommandInput,
  io: CommandIo,
  { choose, work }: { choose(config: Config | null): User | null; work(link: Link, user: User): Promise<T> },
): Promise<T> {
  const config = loadConfigIfAny(input, io)
  const user = choose(config)
  if (user === null) throw new UsageError('who are you? Name a seed file, or have nats-webauthn.yaml do so')
  const server = input.text('server')
  const servers = server === undefined ? config?.nats.servers : [server]
  if (servers === undefined) throw new UsageError('which nats-server? Give --server URL or -c FILE')
  const caFile = input.text('tls-ca-file')
  const link = await openLink({
    name: `nats-webauthn CLI (${user.name})`,
    servers,
    seed: readSeed(user.seedFile, 'U'),
    inboxPrefix: user.inboxPrefix,
    tls: caFile === undefined ? tlsOptions(config?.nats.tls ?? null) : { ca: readPem(caFile) },
    waitForServer: false,
    onEvent: (event) => {
      if (event.kind === 'failed') io.say('nats-webauthn: nats-server refused something to this user')
    },
  })
  try {
    return await work(link, user)
  } finally {
    await link.drain()
  }
}
