/** A private CA and certificates for tests of TLS listeners, as PEM. */
// @peculiar/x509 decorates its classes with it and leaves the import to its user.
import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { BasicConstraintsExtension, cryptoProvider, SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509'

cryptoProvider.set(webcrypto as unknown as Crypto)
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

export interface TestCertificate {
  cert: string
  key: string
}

export interface TestCa {
  cert: string
  issue(options: { name: string; dns?: string[]; ip?: string[]; notAfter?: Date }): Promise<TestCertificate>
}

export async function testCa(name: string): Promise<TestCa> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const ca = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - 86_400_000),
    notAfter: new Date(Date.now() + 86_400_000),
    extensions: [new BasicConstraintsExtension(true, undefined, true)],
  })
  return {
    cert: ca.toString('pem'),
    async issue({ name: subject, dns = [], ip = [], notAfter = new Date(Date.now() + 3_600_000) }) {
      const pair = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
      const cert = await X509CertificateGenerator.create({
        subject: `CN=${subject}`,
        issuer: ca.subject,
        signingKey: keys.privateKey,
        publicKey: pair.publicKey,
        signingAlgorithm: algorithm,
        notBefore: new Date(Date.now() - 7_200_000),
        notAfter,
        extensions: [
          new SubjectAlternativeNameExtension([
            ...dns.map((value) => ({ type: 'dns' as const, value })),
            ...ip.map((value) => ({ type: 'ip' as const, value })),
          ]),
        ],
      })
      const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', pair.privateKey)).toString('base64')
      const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8.match(/.{1,64}/g)?.join('\n')}\n-----END PRIVATE KEY-----\n`
      return { cert: cert.toString('pem'), key }
    },
  }
}
