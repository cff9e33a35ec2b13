/** The words of `help`, made from the table of commands. docs/cli.md is made from the same rows. */
import { editDistance } from '../core/policy/edit-distance.ts'
import type { Command, OptionSpec } from './command.ts'

/** All commands, one line each. */
export function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length))
  return [
    'nats-webauthn admits people and services to NATS with WebAuthn credentials.',
    '',
    'Usage: nats-webauthn COMMAND [OPTION…]',
    '',
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'nats-webauthn help COMMAND shows examples and options.',
    'Exit status: 0 done, 1 refused or a check failed, 2 wrong usage, 78 unusable configuration.',
  ].join('\n')
}

/** One command: examples first. */
export function helpOf(command: Command): string {
  const options = Object.entries(command.options).map(([name, spec]) => ({ left: optionSyntax(name, spec), help: spec.help }))
  const width = Math.max(0, ...options.map(({ left }) => left.length))
  return [
    command.summary,
    '',
    ...command.examples.map((example) => `  $ ${example}`),
    '',
    `Usage: ${usageOf(command)}`,
    ...(options.length > 0 ? ['', ...options.map(({ left, help }) => `  ${left.padEnd(width)}  ${help}`)] : []),
  ].join('\n')
}

/** `nats-webauthn credential list [--json]`. */
export function usageOf({ name, usage }: Command): string {
  return ['nats-webauthn', name, usage].filter((part) => part !== '').join(' ')
}

function optionSyntax(name: string, { short, value }: OptionSpec): string {
  return `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`
}

/** The one of `words` that somebody who typed `typed` probably meant, or null. */
export function suggestion(typed: string, words: readonly string[]): string | null {
  let best: { word: string; distance: number } | null = null
  for (const word of words) {
    const distance = editDistance(typed, word)
    if (best === null || distance < best.distance) best = { word, distance }
  }
  const near = best !== null && best.distance <= Math.max(1, Math.floor(best.word.length / 3))
  return near && best !== null ? best.word : null
}
