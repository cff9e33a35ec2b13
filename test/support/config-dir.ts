/** A directory made by `init`, with a nats-webauthn.yaml that tests may change. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeDeployment } from '../../src/cli/deployment-files.ts'

export interface ConfigDir {
  dir: string
  /** Path of nats-webauthn.yaml. */
  file: string
  /** Rewrites nats-webauthn.yaml. */
  edit(change: (text: string) => string): void
  remove(): void
}

export function makeConfigDir(change: (text: string) => string = (text) => text): ConfigDir {
  const dir = newDirectory()
  cpSync(shipped(), dir, { recursive: true })
  const file = join(dir, 'nats-webauthn.yaml')
  const edit = (next: (text: string) => string) => {
    writeFileSync(file, next(readFileSync(file, 'utf8')))
  }
  edit(change)
  return { dir, file, edit, remove: () => rmSync(dir, { recursive: true, force: true }) }
}

let made: string | null = null

/** What `init` wrote, once for all directories of this process: its password hash is slow on purpose. */
function shipped(): string {
  if (made !== null) return made
  const dir = newDirectory()
  writeDeployment(dir)
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }))
  made = dir
  return dir
}

function newDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'nats-webauthn-config-'))
}
