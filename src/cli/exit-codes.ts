/** What the process says to its caller (docs/cli.md). */
export const EXIT = {
  ok: 0,
  /** Refused, or a check failed. */
  refused: 1,
  /** The command line makes no sense. */
  usage: 2,
  /** nats-webauthn.yaml or a file it names cannot be used (EX_CONFIG of sysexits.h). */
  configInvalid: 78,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]
