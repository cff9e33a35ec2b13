// A connection with nothing but Node's own modules: what docs/protocol.md asks of a client, from top to bottom.
// It connects twice: first with a proof by the enrolled key, then with the session that the proof began.
//
//   node examples/bare-protocol.mjs orders.key nats://localhost:4222 orders.new
import { createHash, createPrivateKey, generateKeyPairSync, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { createInterface } from 'node:readline'

const [keyFile, url, subject = 'orders.new'] = process.argv.slice(2)
if (keyFile === undefined || url === undefined) {
  console.error('usage: node examples/bare-protocol.mjs KEY_FILE nats://HOST:PORT [SUBJECT]')
  process.exit(2)
}

// The address is signed exactly as it was dialled, so it has one spelling: scheme, lower-case host, port.
const dialled = /^nats:\/\/([a-z0-9.-]+|\[[0-9a-f:]+\]):(\d+)$/.exec(url)
if (dialled === null) {
  console.error('the address must be nats://host:port; for tls:// this example would have to speak TLS')
  process.exit(2)
}

const sha256 = (bytes) => createHash('sha256').update(bytes).digest()
const base64url = (bytes) => Buffer.from(bytes).toString('base64url')

// LP(x): four bytes of length, big-endian, then x. No two lists of values give the same bytes.
const lengthPrefixed = (...texts) =>
  Buffer.concat(
    texts.flatMap((text) => {
      const length = Buffer.alloc(4)
      length.writeUInt32BE(Buffer.byteLength(text))
      return [length, Buffer.from(text)]
    }),
  )

// The enrolled credential: its private key, and what the verifier knows it by.
const credential = JSON.parse(readFileSync(keyFile, 'utf8'))
const privateKey = createPrivateKey({ key: Buffer.from(credential.privateKey, 'base64url'), format: 'der', type: 'pkcs8' })
const hash = credential.alg === -8 ? null : 'sha256'

// A session key: an Ed25519 nkey, whose public half is written in base32 with a prefix byte and a CRC-16.
const session = generateKeyPairSync('ed25519')
const nkey = publicNkey(Buffer.from(session.publicKey.export({ format: 'jwk' }).x, 'base64url'))

function publicNkey(raw) {
  const body = Buffer.concat([Buffer.from([20 << 3]), raw])
  let crc = 0
  for (const byte of body) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff
  }
  const bits = [...body, crc & 0xff, crc >> 8].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  return bits.replace(/.{5}/g, (five) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(five, 2)])
}

// A WebAuthn assertion, as a security key would make it, for a challenge that belongs to this connection alone.
function assertionFor(challenge) {
  const clientDataJSON = JSON.stringify({
    type: 'webauthn.get',
    challenge: base64url(challenge),
    origin: 'nats-webauthn://machine',
    crossOrigin: false,
  })
  const flags = 0x08 // nobody is present (UP=0, UV=0); the key could be copied (BE=1) and is not backed up (BS=0)
  const authenticatorData = Buffer.concat([sha256(credential.rpId), Buffer.from([flags]), Buffer.alloc(4)])
  const signature = sign(hash, Buffer.concat([authenticatorData, sha256(clientDataJSON)]), privateKey)
  return {
    id: credential.credentialId,
    rawId: credential.credentialId,
    type: 'public-key',
    response: {
      clientDataJSON: base64url(clientDataJSON),
      authenticatorData: base64url(authenticatorData),
      signature: base64url(signature),
      userHandle: credential.userHandle,
    },
    clientExtensionResults: {},
  }
}

// What the session key signs. 0xFF never begins a nonce, so no server can obtain this signature by sending one.
const resumeFor = (nonce) =>
  base64url(
    sign(
      null,
      Buffer.concat([Buffer.from([0xff]), sha256(lengthPrefixed('nats-webauthn/resume/v1', nonce, url, nkey))]),
      session.privateKey,
    ),
  )

// The two forms of `sig`. The proof also carries `resume`, which asks the verifier to endorse the session key.
const proof = (nonce) => {
  const challenge = sha256(lengthPrefixed('nats-webauthn/connect/v1', nonce, url, nkey, ''))
  return { v: 1, url, assertion: assertionFor(challenge), resume: resumeFor(nonce) }
}
const resume = (nonce) => ({ v: 1, url, resume: resumeFor(nonce) })

// One NATS connection: INFO in, CONNECT and PING out, PONG in; then a message, and goodbye once the server has taken it.
async function talk(name, makeSig) {
  const socket = createConnection({ host: dialled[1].replace(/^\[|\]$/g, ''), port: Number(dialled[2]) })
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]()
  const next = async (pattern) => {
    for (;;) {
      const { value: line, done } = await lines.next()
      if (done || line.startsWith('-ERR')) throw new Error(`${name}: ${line ?? 'the server hung up'}`)
      if (line === 'PING') socket.write('PONG\r\n')
      else if (pattern.test(line)) return line
    }
  }

  const { nonce } = JSON.parse((await next(/^INFO /)).slice('INFO '.length))
  if (!/^[\x21-\x7e]{1,64}$/.test(nonce)) throw new Error(`${name}: the server sent no usable nonce`)
  const sig = base64url(JSON.stringify(makeSig(nonce)))
  socket.write(
    `CONNECT ${JSON.stringify({ nkey, sig, verbose: false, pedantic: false, protocol: 1, name, lang: 'bare', version: '1' })}\r\nPING\r\n`,
  )
  await next(/^PONG$/)
  console.log(`${name}: connected as ${credential.handle}`)

  const payload = `hello from ${name}`
  socket.write(`PUB ${subject} ${Buffer.byteLength(payload)}\r\n${payload}\r\nPING\r\n`)
  await next(/^PONG$/)
  console.log(`${name}: published to ${subject}`)
  socket.end()
}

await talk('first connection, proof', proof)
await talk('second connection, session', resume)
