/** Certificate, key and client CA of the operations listener, read again when their files change. */
import { readFile, stat } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { OperationsConfigError, readSecretFile } from './secret-file.ts'

export interface TlsFiles {
  certFile: string
  keyFile: string
}

export interface ServerTls {
  options: Material & { requestCert: boolean; rejectUnauthorized: boolean }
  /** What the files say now, or null when they have not changed. Throws when they cannot be used. */
  renewed(): Promise<Material | null>
}

interface Material {
  cert: string
  key: string
  ca?: string
  minVersion: 'TLSv1.2'
}

/** Throws OperationsConfigError when the files cannot be used, or others may read the key. */
export async function serverTls(files: TlsFiles, clientCaFile: string | null): Promise<ServerTls> {
  const paths = [files.certFile, files.keyFile, ...(clientCaFile === null ? [] : [clientCaFile])]
  let identity = ''
  let material: Material
  try {
    identity = await identityOf(paths)
    material = await load(files, clientCaFile)
  } catch (cause) {
    throw new OperationsConfigError(`reading operations.tls: ${(cause as Error).message}`, { cause })
  }
  const wantsCertificate = clientCaFile !== null
  return {
    options: { ...material, requestCert: wantsCertificate, rejectUnauthorized: wantsCertificate },
    async renewed() {
      const now = await identityOf(paths)
      if (now === identity) return null
      const next = await load(files, clientCaFile)
      identity = now
      return next
    },
  }
}

async function load({ certFile, keyFile }: TlsFiles, clientCaFile: string | null): Promise<Material> {
  const [cert, key] = await Promise.all([readFile(certFile, 'utf8'), readSecretFile(keyFile)])
  const ca = clientCaFile === null ? {} : { ca: await readFile(clientCaFile, 'utf8') }
  const material = { cert, key, ...ca, minVersion: 'TLSv1.2' as const }
  // Throws unless the three can be parsed and the key is the certificate's.
  createSecureContext(material)
  return material
}

async function identityOf(paths: readonly string[]): Promise<string> {
  const stats = await Promise.all(paths.map((path) => stat(path, { bigint: true })))
  return stats.map(({ dev, ino, size, mtimeNs }) => `${dev} ${ino} ${size} ${mtimeNs}`).join('\n')
}
