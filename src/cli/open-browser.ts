/** Opening a page in the person's browser, if this machine has one for them. */
import { spawn } from 'node:child_process'

export type Environment = Readonly<Record<string, string | undefined>>

/** The program and arguments that open `url`, or null where nobody would see it. Never a shell. */
export function browserCommand(url: string, { env, platform }: { env: Environment; platform: NodeJS.Platform }): string[] | null {
  // BROWSER: programs by preference, separated as in PATH; %s is the address, which comes last otherwise.
  const wanted = (env['BROWSER'] ?? '')
    .split(':')[0]
    ?.split(/\s+/)
    .filter((word) => word !== '')
  if (wanted !== undefined && wanted.length > 0) {
    return wanted.some((word) => word.includes('%s')) ? wanted.map((word) => word.replaceAll('%s', url)) : [...wanted, url]
  }
  if (platform === 'darwin') return ['open', url]
  if (platform === 'win32') return ['rundll32', 'url.dll,FileProtocolHandler', url]
  return env['DISPLAY'] || env['WAYLAND_DISPLAY'] ? ['xdg-open', url] : null
}

/** Opens `url`. False when there is no browser, or it could not be started. */
export async function openBrowser(url: string, env: Environment): Promise<boolean> {
  const [program, ...args] = browserCommand(url, { env, platform: process.platform }) ?? []
  if (program === undefined) return false
  return new Promise((done) => {
    const child = spawn(program, args, { detached: true, stdio: 'ignore', shell: false })
    child.once('error', () => done(false))
    child.once('spawn', () => {
      child.unref()
      done(true)
    })
  })
}
