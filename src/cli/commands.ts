/** Every command there is, in the order of `help`. */
import { assertionCheck } from './assertion-check.ts'
import { auditTail } from './audit-tail.ts'
import { backup } from './backup.ts'
import { check } from './check.ts'
import type { Command } from './command.ts'
import { credentialCommands } from './credential.ts'
import { enrol } from './enrol.ts'
import { healthcheck } from './healthcheck.ts'
import { helpCommand, version } from './help-command.ts'
import { identityCommands } from './identity.ts'
import { init } from './init.ts'
import { invitationCommands } from './invite.ts'
import { login } from './login.ts'
import { logout } from './logout.ts'
import { policyCommands } from './policy.ts'
import { restore } from './restore.ts'
import { rotateCommands } from './rotate.ts'
import { serve } from './serve.ts'
import { sessionCommands } from './session.ts'

export const COMMANDS: readonly Command[] = [
  init,
  serve,
  check,
  healthcheck,
  ...invitationCommands,
  enrol,
  login,
  logout,
  ...credentialCommands,
  ...sessionCommands,
  ...identityCommands,
  ...policyCommands,
  auditTail,
  backup,
  restore,
  ...rotateCommands,
  assertionCheck,
  helpCommand(() => COMMANDS),
  version,
]
