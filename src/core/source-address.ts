/** Source addresses against CIDR blocks (RFC 4632, RFC 4291). An IPv4 address inside IPv6 counts as IPv4. */
import { BlockList, isIP, isIPv4 } from 'node:net'

interface Cidr {
  address: string
  prefix: number
  family: 'ipv4' | 'ipv6'
}

/** The block in canonical text, or null when `text` is none or has bits set behind its prefix. */
export function canonicalCidr(text: string): string | null {
  const cidr = parseCidr(text)
  if (cidr === null) return null
  const width = cidr.family === 'ipv4' ? 32 : 128
  const host = bits(cidr) & ((1n << BigInt(width - cidr.prefix)) - 1n)
  return host === 0n ? `${cidr.address}/${cidr.prefix}` : null
}

/** A matcher for blocks that canonicalCidr made. */
export function sourceBlocks(cidrs: readonly string[]): BlockList {
  const blocks = new BlockList()
  for (const text of cidrs) {
    const cidr = parseCidr(text)
    if (cidr === null) throw new Error('reading a CIDR block of the policy')
    blocks.addSubnet(cidr.address, cidr.prefix, cidr.family)
  }
  return blocks
}

/** Whether `address` is an IP address inside one of the blocks. */
export function isWithin(blocks: BlockList, address: string): boolean {
  const version = isIP(address)
  return version !== 0 && blocks.check(address, version === 4 ? 'ipv4' : 'ipv6')
}

/**
 * Whom an address stands for where sources are counted: an IPv4 address, or the /64 of an IPv6 address, of which one host
 * may use all. Text that is no address stands for itself.
 */
export function sourceOf(host: string): string {
  if (isIP(host) !== 6) return host
  const mapped = /^::ffff:([0-9.]+)$/i.exec(host)?.[1]
  if (mapped !== undefined) return mapped
  const [head = '', tail] = host.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  // An IPv4 tail stands for two groups, a zone is behind the last one: neither is among the first four unless as zeros.
  const missing = 8 - left.length - right.length - (host.includes('.') ? 1 : 0)
  const groups = [...left, ...Array.from({ length: missing }, () => '0'), ...right]
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`
}

function parseCidr(text: string): Cidr | null {
  const match = /^([0-9a-f:.]+)\/(0|[1-9][0-9]{0,2})$/i.exec(text)
  const address = match?.[1] ?? ''
  const version = isIP(address)
  const prefix = Number(match?.[2] ?? -1)
  if (version === 0 || prefix < 0 || prefix > (version === 4 ? 32 : 128)) return null
  if (version === 4) return { address, prefix, family: 'ipv4' }
  // The URL parser prints an IPv6 address in its one canonical spelling (RFC 5952).
  return { address: new URL(`http://[${address}]`).hostname.slice(1, -1), prefix, family: 'ipv6' }
}

function bits({ address }: Cidr): bigint {
  if (isIPv4(address)) return address.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n)
  const [head = '', tail] = address.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0')
  return [...left, ...zeros, ...right].reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n)
}
