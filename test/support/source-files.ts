/** The files of this repository, as tests about the repository itself see them. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

const SKIPPED = new Set(['node_modules', 'dist', 'coverage'])

/** Paths under `folder` that end in `suffix`, relative to the repository, with forward slashes. */
export function filesUnder(folder: string, suffix: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true })
  return entries
    .filter(({ name }) => !SKIPPED.has(name))
    .flatMap((entry) => {
      const path = join(folder, entry.name).replaceAll('\\', '/')
      if (entry.isDirectory()) return filesUnder(path, suffix)
      return path.endsWith(suffix) ? [path] : []
    })
}
