/** Which nats-webauthn.yaml a command reads: `-c`, NATS_WEBAUTHN_CONFIG, or the one in this directory. */
import { existsSync } from 'node:fs'
import { type Config, readConfig } from '../config.ts'
import type { CommandInput, CommandIo } from './command.ts'

/** Path of the configuration, as the person would write it. */
export function configPath(input: CommandInput, io: CommandIo): string {
  return input.text('config') ?? io.env['NATS_WEBAUTHN_CONFIG'] ?? 'nats-webauthn.yaml'
}

/** The configuration, which must be there. Throws ConfigInvalid. */
export function loadConfig(input: CommandInput, io: CommandIo): Config {
  return readConfig(configPath(input, io))
}

/** The configuration, or null where none was named and there is none in this directory. Throws ConfigInvalid. */
export function loadConfigIfAny(input: CommandInput, io: CommandIo): Config | null {
  const named = input.text('config') !== undefined || io.env['NATS_WEBAUTHN_CONFIG'] !== undefined
  const path = configPath(input, io)
  return named || existsSync(path) ? readConfig(path) : null
}
