/**
 * FIDO's metadata from a file (docs/people.md): read, watched, and swapped as a whole. A bad file changes nothing but is
 * spoken about. Nothing is ever fetched.
 */
import { createHash, X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { SettingsService } from '@simplewebauthn/server'
import type { MetadataPort } from '../core/people/people.ts'
import { type MetadataBlob, readBlob } from './mds-blob.ts'
import { watchDirectory } from './watch-directory.ts'

// FIDO's own is about 8 MB, most of it icons.
const blobBytesMax = 64 * 2 ** 20
const rootsBytesMax = 256 * 1024
const overdueCheckMs = 24 * 3_600_000

export interface MetadataOptions {
  blobFile: string
  /** PEM; null: the roots that FIDO's own service uses. */
  rootFile: string | null
  now(): Date
  /** The metadata in force has stayed the same, and why. Called once for each distinct bad content. */
  onRefused(error: Error): void
  /** The metadata in force is past its nextUpdate (`YYYY-MM-DD`), and stays: a newer file should be there. */
  onOverdue(nextUpdate: string): void
}

export interface MetadataFile extends MetadataPort {
  /** Reads the file now (SIGHUP). Reloads run one after the other. */
  reload(): Promise<'unchanged' | 'loaded' | 'refused'>
  close(): void
}

/** Null: a deployment without metadata, to which no model is known. Throws an Error where the first file is not good. */
export async function openMetadata(options: MetadataOptions | null): Promise<MetadataFile> {
  if (options === null) {
    return { isLoaded: () => false, entryOf: () => null, reload: async () => 'unchanged', close: () => undefined }
  }
  const first = await load(options)
  if (!first.ok) throw new Error(`loading the metadata: ${options.blobFile}`, { cause: first.error })
  let current = first
  // What was last refused is reported once, not at every event of its directory.
  let refusedDigest: string | null = null
  let closed = false

  const refuse = (error: Error, digest: string): 'refused' => {
    if (digest !== refusedDigest) options.onRefused(error)
    refusedDigest = digest
    return 'refused'
  }
  const tellOverdue = (): void => {
    const { nextUpdate } = current.blob
    if (options.now().getTime() >= Date.parse(nextUpdate) + overdueCheckMs) options.onOverdue(nextUpdate)
  }
  const reloadNow = async (): Promise<'unchanged' | 'loaded' | 'refused'> => {
    const next = await load(options)
    if (!next.ok) return refuse(next.error, next.digest)
    if (closed || next.digest === current.digest) {
      refusedDigest = null
      return 'unchanged'
    }
    // FIDO MDS 3 §3.1.7: an older blob does not know of what was revoked since.
    if (next.blob.no <= current.blob.no) {
      return refuse(new Error(`loading the metadata: no ${next.blob.no} comes after no ${current.blob.no}`), next.digest)
    }
    refusedDigest = null
    current = next
    tellOverdue()
    return 'loaded'
  }

  let queue: Promise<unknown> = Promise.resolve()
  const reload = () => {
    const next = queue.then(reloadNow)
    queue = next.catch(() => undefined)
    return next
  }
  const stopWatching = watchDirectory(options.blobFile, {
    changed: () => void reload().catch((error: unknown) => options.onRefused(asError(error))),
    failed: (cause) => options.onRefused(new Error('watching the metadata', { cause })),
  })
  tellOverdue()
  const reminder = setInterval(tellOverdue, overdueCheckMs).unref()
  return {
    isLoaded: () => true,
    entryOf: (aaguid) => current.blob.entries.get(aaguid) ?? null,
    reload,
    close: () => {
      closed = true
      clearInterval(reminder)
      stopWatching()
    },
  }
}

type Loaded = { ok: true; blob: MetadataBlob; digest: string } | { ok: false; error: Error; digest: string }

async function load({ blobFile, rootFile, now }: MetadataOptions): Promise<Loaded> {
  let digest = ''
  try {
    const roots = await readRoots(rootFile)
    const text = (await readText(blobFile, blobBytesMax)).trim()
    digest = createHash('sha256').update(text).digest('hex')
    return { ok: true, blob: await readBlob(text, roots, now()), digest }
  } catch (error) {
    return { ok: false, error: asError(error), digest: `${digest} ${asError(error).message}` }
  }
}

async function readText(path: string, bytesMax: number): Promise<string> {
  // A device or a pipe would never end; a huge file is not read just to be refused.
  const info = await stat(path)
  if (!info.isFile()) throw new Error(`reading ${path}: not a regular file`)
  if (info.size > bytesMax) throw new Error(`reading ${path}: larger than ${bytesMax} bytes`)
  return readFile(path, 'utf8')
}

/** DER of every certificate in the file. FIDO's own service is signed under roots of GlobalSign: R3, and its successor R46. */
async function readRoots(path: string | null): Promise<Uint8Array[]> {
  const texts =
    path === null
      ? SettingsService.getRootCertificates({ identifier: 'mds' })
      : ((await readText(path, rootsBytesMax)).match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [])
  if (texts.length === 0) throw new Error(`reading ${path}: no certificate in PEM`)
  return texts.map((pem) => new Uint8Array(new X509Certificate(pem).raw))
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
