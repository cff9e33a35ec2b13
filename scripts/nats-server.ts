/**
 * Finds a nats-server, or fetches one from the machine's own Debian mirror into this project's cache.
 * Order: NATS_SERVER → PATH → cache → the machine's mirror; otherwise one line that says what to do.
 *
 *   node --import tsx scripts/nats-server.ts [2.15|2.10]      prints the path
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The two ends of the supported range, and the Debian suite that carries each. */
export const NATS_SERVER_SUITES = { '2.15': 'forky', '2.10': 'trixie' } as const
export type NatsServerLine = keyof typeof NATS_SERVER_SUITES

const cacheDir = fileURLToPath(new URL('../.cache/nats-server', import.meta.url))
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
const oldest = [2, 10, 27]

/** Path of a nats-server binary ≥ 2.10.27; of the given line when there is one. Throws with a line for people. */
export function findNatsServer(line?: NatsServerLine): string {
  for (const candidate of [process.env['NATS_SERVER'], ...onPath()]) {
    if (candidate && isUsable(candidate, line)) return candidate
  }
  const wanted = line ?? '2.15'
  const cached = join(cacheDir, wanted, 'usr/sbin/nats-server')
  if (existsSync(cached)) return cached
  return fetchFromMirror(wanted, cached)
}

function onPath(): string[] {
  const dirs = (process.env['PATH'] ?? '').split(delimiter)
  return dirs.map((dir) => join(dir, 'nats-server')).filter((path) => existsSync(path))
}

/** Version of a binary as [major, minor, patch], or null when it does not run. */
function versionOf(path: string): number[] | null {
  try {
    const match = /v(\d+)\.(\d+)\.(\d+)/.exec(execFileSync(path, ['--version'], { encoding: 'utf8' }))
    return match === null ? null : match.slice(1, 4).map(Number)
  } catch {
    return null
  }
}

function isUsable(path: string, line: NatsServerLine | undefined): boolean {
  const version = versionOf(path)
  if (version === null) return false
  if (line !== undefined) return `${version[0]}.${version[1]}` === line
  for (const [i, part] of oldest.entries()) {
    if (version[i] !== part) return (version[i] as number) > part
  }
  return true
}

function fetchFromMirror(line: NatsServerLine, target: string): string {
  const mirror = debianMirror()
  if (mirror === null || !existsSync(keyring)) throw new Error(helpText(line))
  const work = join(cacheDir, `fetch-${line}-${process.pid}`)
  try {
    for (const dir of ['lists/partial', 'cache/archives/partial', 'out']) mkdirSync(join(work, dir), { recursive: true })
    const list = join(work, 'sources.list')
    writeFileSync(list, `deb [signed-by=${keyring}] ${mirror} ${NATS_SERVER_SUITES[line]} main\n`)
    // An apt of its own: the system's sources and lists stay as they are.
    const settings = [
      `Dir::Etc::sourcelist=${list}`,
      'Dir::Etc::sourceparts=-',
      `Dir::State::lists=${work}/lists`,
      `Dir::Cache=${work}/cache`,
      'APT::Get::List-Cleanup=0',
      'APT::Sandbox::User=root',
    ]
    const options = settings.flatMap((setting) => ['-o', setting])
    process.stderr.write(`fetching nats-server ${line} from this machine's Debian mirror\n`)
    execFileSync('apt-get', [...options, '-q', 'update'], { stdio: ['ignore', 'ignore', 'pipe'] })
    execFileSync('apt-get', [...options, '-q', 'download', 'nats-server'], { cwd: join(work, 'out'), stdio: ['ignore', 'ignore', 'pipe'] })
    const deb = readdirSync(join(work, 'out')).find((name) => name.endsWith('.deb'))
    if (deb === undefined) throw new Error('apt-get downloaded no package')
    execFileSync('dpkg-deb', ['-x', join(work, 'out', deb), join(work, 'root')])
    // Somebody else may have been quicker: what is there may be running already, and stays.
    if (!existsSync(target)) renameSync(join(work, 'root'), join(cacheDir, line))
  } catch (cause) {
    if (!existsSync(target)) throw new Error(helpText(line), { cause })
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return target
}

/** The first Debian mirror among the machine's apt sources, or null on anything that is not Debian. */
function debianMirror(): string | null {
  const dir = '/etc/apt/sources.list.d'
  const files = ['/etc/apt/sources.list', ...(existsSync(dir) ? readdirSync(dir).map((name) => join(dir, name)) : [])]
  for (const file of files.filter((path) => existsSync(path))) {
    const match = /^\s*(?:URIs:|deb(?:\s+\[[^\]]*\])?)\s+(https?:\/\/\S+\/debian\/?)(?:\s|$)/m.exec(readFileSync(file, 'utf8'))
    if (match?.[1] !== undefined) return match[1]
  }
  return null
}

function helpText(line: NatsServerLine): string {
  return `no nats-server ${line} (≥ 2.10.27) found: set NATS_SERVER to a binary, or get one with \`brew install nats-server\`, Docker, or from the download page of NATS (nats.io/download)`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const line = process.argv[2] as NatsServerLine | undefined
    if (line !== undefined && !(line in NATS_SERVER_SUITES)) throw new Error(`unknown line ${line}: 2.15 or 2.10`)
    process.stdout.write(`${findNatsServer(line)}\n`)
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    process.exitCode = 1
  }
}
