/** `healthcheck`: for container engines, where there is no curl. */
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:tls'
import type { Config } from '../config.ts'
import { CONFIG_OPTION, type Command } from './command.ts'
import { loadConfig } from './config-file.ts'
import { EXIT } from './exit-codes.ts'

const timeoutMs = 2_000

export const healthcheck: Command = {
  name: 'healthcheck',
  summary: 'Ask the verifier on this machine whether it is alive, or ready.',
  usage: '[--ready] [-c FILE]',
  examples: ['nats-webauthn healthcheck', 'nats-webauthn healthcheck --ready'],
  options: { ready: { type: 'boolean', help: 'Ask /readyz instead of /livez.' }, ...CONFIG_OPTION },
  positionals: { min: 0, max: 0 },
  async run(input, io) {
    const path = input.flag('ready') ? '/readyz' : '/livez'
    const { operations } = loadConfig(input, io)
    // Under mtls nobody is answered without a certificate, and this command has none: that the listener shakes hands is
    // all it can tell.
    const status = operations.auth.mode === 'mtls' && path === '/livez' ? await shakeHands(operations) : await ask(operations, path)
    if (status === 200) return EXIT.ok
    io.say(`nats-webauthn: ${path} says ${status ?? 'nothing'}`)
    return EXIT.refused
  },
}

function addressOf({ listen }: Config['operations']): { host: string; port: number } {
  const host = listen.host === '0.0.0.0' ? '127.0.0.1' : listen.host === '::' ? '::1' : listen.host
  return { host, port: listen.port }
}

/** 200 when the listener's side of a TLS handshake came, else null. */
function shakeHands(operations: Config['operations']): Promise<number | null> {
  return new Promise((resolve) => {
    const socket = connect({ ...addressOf(operations), rejectUnauthorized: false, timeout: timeoutMs })
    const end = (status: number | null) => {
      socket.destroy()
      resolve(status)
    }
    socket.on('secureConnect', () => end(200))
    socket.on('timeout', () => end(null))
    socket.on('error', () => end(null))
  })
}

/** Status code of the operations listener, or null when it does not answer. */
function ask(operations: Config['operations'], path: string): Promise<number | null> {
  // The certificate names the outside; this question never leaves the machine and its answer holds nothing.
  const options = { ...addressOf(operations), path, timeout: timeoutMs, rejectUnauthorized: false }
  return new Promise((resolve) => {
    const request = (operations.tls === null ? httpRequest : httpsRequest)(options, (response) => {
      response.resume()
      resolve(response.statusCode ?? null)
    })
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(null))
    request.end()
  })
}
