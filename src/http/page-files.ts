/** The page's files: read once at the start, so no path ever comes from a request. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { allowPage } from './answer-headers.ts'

export interface PageFiles {
  /** Directory that holds `index.html` and `assets/`. */
  dir: string
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
}
const fileBytesMax = 2 * 1024 * 1024
const filesMax = 64
const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/

interface PageFile {
  /** Path in a URL. */
  path: string
  type: string
  bytes: Buffer
  etag: string
}

export interface Page {
  document: PageFile
  assets: PageFile[]
}

/** Throws where the directory is not a built page. */
export function readPage({ dir }: PageFiles): Page {
  try {
    return { document: readPageFile(join(dir, 'index.html'), '/'), assets: assetsOf(dir) }
  } catch (cause) {
    throw new Error(`opening the page: ${dir} is not a built page`, { cause })
  }
}

/** Adds `/` and a route for each file in `assets/`. */
export function pageRoutes(app: FastifyInstance, { document, assets }: Page): void {
  const light = { config: { bucket: 'light' } } as const
  app.get('/', light, async (_, reply) => {
    allowPage(reply)
    return reply.type(document.type).send(document.bytes)
  })
  for (const file of assets) {
    app.get(file.path, light, async (request, reply) => {
      // A browser asks each time, and is told in a few bytes that nothing changed.
      reply.header('cache-control', 'no-cache').header('etag', file.etag)
      if (request.headers['if-none-match'] === file.etag) return reply.code(304).send()
      return reply.type(file.type).send(file.bytes)
    })
  }
}

function assetsOf(dir: string): PageFile[] {
  const names = readdirSync(join(dir, 'assets')).filter((name) => extname(name) in TYPES && FILE_NAME.test(name))
  if (names.length > filesMax) throw new Error(`reading the page: more than ${filesMax} files`)
  return names.map((name) => readPageFile(join(dir, 'assets', name), `/assets/${name}`))
}

function readPageFile(file: string, path: string): PageFile {
  const bytes = readFileSync(file)
  if (bytes.length > fileBytesMax) throw new Error(`reading the page: ${path} is larger than ${fileBytesMax} bytes`)
  const type = TYPES[extname(file)]
  if (type === undefined) throw new Error(`reading the page: ${path} is of no known type`)
  return { path, type, bytes, etag: `"${createHash('sha256').update(bytes).digest('base64url')}"` }
}
