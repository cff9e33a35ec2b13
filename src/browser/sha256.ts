/** SHA-256 without waiting: WebCrypto's digest is asynchronous, and core's protocol functions are not. */
export { sha256 } from '@noble/hashes/sha2.js'
