/** Bundles src/page for browsers into dist/page, which is all that is served: index.html and, under assets/, app.js, app.css, favicon.svg. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const source = fileURLToPath(new URL('../src/page/', import.meta.url))
const target = fileURLToPath(new URL('../dist/page/', import.meta.url))

/** The page's files by their path under the root of the site; the document is `index.html`. */
export async function bundlePage(): Promise<Map<string, Uint8Array>> {
  const { outputFiles } = await build({
    entryPoints: [`${source}main.ts`],
    bundle: true,
    write: false,
    format: 'esm',
    target: ['chrome109', 'firefox115', 'safari16.4'],
    minify: true,
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'silent',
  })
  const [script] = outputFiles
  if (script === undefined) throw new Error('bundling the page: nothing came out')
  return new Map([
    ['index.html', readFileSync(`${source}index.html`)],
    ['assets/app.js', script.contents],
    ['assets/app.css', readFileSync(`${source}app.css`)],
    ['assets/favicon.svg', readFileSync(`${source}favicon.svg`)],
  ])
}

/** Writes the page's files below `dir`, and removes what was there. */
export async function buildPage(dir: string): Promise<void> {
  const files = await bundlePage()
  rmSync(dir, { recursive: true, force: true })
  for (const [path, contents] of files) {
    mkdirSync(dirname(`${dir}/${path}`), { recursive: true })
    writeFileSync(`${dir}/${path}`, contents)
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await buildPage(target)
