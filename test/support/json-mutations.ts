/**
 * Ways to change JSON that know its structure: members missing, doubled, renamed, of another type or far too large, strings
 * bent inside. The result is text, because what JSON.stringify cannot say is among it.
 */
import { mutateBytes } from './byte-mutations.ts'
import type { Random } from './random.ts'

/** A tree that may say what no JavaScript value can: a member twice, a number spelled oddly. */
type Tree = { raw: string } | { text: string } | { items: Tree[] } | { members: [string, Tree][] }

// Values where others are expected, as text: wrong types, odd spellings, edges, and what breaks careless readers.
const ODD = [
  'null',
  'true',
  'false',
  '0',
  '-0',
  '1',
  '-1',
  '1.0',
  '1e0',
  '0.1',
  '1e400',
  '-1e400',
  '9007199254740993',
  '18446744073709551616',
  '2147483648',
  '253402300800',
  '8640000000001',
  '""',
  '" "',
  '"0"',
  '"1"',
  '"true"',
  '"__proto__"',
  '"constructor"',
  '"\\u0000"',
  '"\\ud800"',
  '"\\udfff\\ud800"',
  '"\\u202e\\u200b"',
  '"\u00e4\ud83d\ude00"',
  '"\\uFEFF"',
  '[]',
  '{}',
  '[[]]',
  '{"":""}',
  '{"__proto__":{"v":1}}',
  '{"toString":null,"length":1}',
  '{"toJSON":1}',
  // No JSON at all.
  'undefined',
  'NaN',
  "'1'",
  '01',
  '+1',
  '.5',
  '"\\x41"',
  '"unterminated',
  '[1,]',
  '{"a":1,}',
  '/**/1',
] as const

const NAMES = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'v',
  'url',
  'plain',
  'resume',
  'id',
  'nonce',
  '',
  ' ',
  '\u0000',
  'a'.repeat(300),
] as const

/** `value` as text with one to three changes. `donor`: another value that pieces are taken from. */
export function mutateJson(value: unknown, random: Random, donor: unknown = value): string {
  const root = { members: [['', treeOf(value)]] as [string, Tree][] }
  for (let left = 1 + random.below(3); left > 0; left--) change(root, random, donor)
  const text = root.members.map(([, tree]) => print(tree, random.once(40))).join('')
  return random.once(60) ? around(text, random) : text
}

/** The text with something around it, or with white space that means nothing. */
function around(text: string, random: Random): string {
  return random.pick([
    `\ufeff${text}`,
    ` ${text}`,
    `${text}\n`,
    `${text}\u0000`,
    `${text}${text}`,
    `${text},`,
    `(${text})`,
    text.slice(0, -1),
    `/*a*/${text}`,
  ])
}

function treeOf(value: unknown): Tree {
  if (typeof value === 'string') return { text: value }
  if (Array.isArray(value)) return { items: value.map(treeOf) }
  if (typeof value !== 'object' || value === null) return { raw: JSON.stringify(value) ?? 'null' }
  return {
    members: Object.entries(value).flatMap(([name, member]) => (member === undefined ? [] : [[name, treeOf(member)] as [string, Tree]])),
  }
}

function print(tree: Tree, spaced: boolean): string {
  const gap = spaced ? '\n\t ' : ''
  if ('raw' in tree) return tree.raw
  if ('text' in tree) return JSON.stringify(tree.text)
  if ('items' in tree) return `[${tree.items.map((item) => gap + print(item, spaced)).join(',')}]`
  return `{${tree.members.map(([name, member]) => `${gap}${JSON.stringify(name)}${gap}:${gap}${print(member, spaced)}`).join(',')}}`
}

interface Place {
  tree: Tree
  replace(next: Tree): void
}

function placesIn(tree: Tree, replace: (next: Tree) => void, found: Place[] = []): Place[] {
  found.push({ tree, replace })
  if ('items' in tree) {
    for (const [i, item] of tree.items.entries()) placesIn(item, (next) => tree.items.splice(i, 1, next), found)
  } else if ('members' in tree) {
    for (const member of tree.members) placesIn(member[1], (next) => member.splice(1, 1, next), found)
  }
  return found
}

function change(root: { members: [string, Tree][] }, random: Random, donor: unknown): void {
  const first = root.members[0] as [string, Tree]
  const set = (next: Tree) => {
    first[1] = next
  }
  const places = placesIn(first[1], set)
  const place = random.pick(places)
  const elsewhere = () => copy(random.pick(random.once(2) ? places : placesIn(treeOf(donor), () => {})).tree)
  place.replace(changed(place.tree, random, elsewhere))
}

function changed(tree: Tree, random: Random, elsewhere: () => Tree): Tree {
  const way = random.below(8)
  if (way === 0) return { raw: random.pick(ODD) }
  if (way === 1) return elsewhere()
  if (way === 2) return wrapped(tree, random)
  if ('members' in tree) return { members: changedMembers([...tree.members], random) }
  if ('items' in tree) return { items: changedItems([...tree.items], random) }
  return 'text' in tree ? { text: changeText(tree.text, random) } : { raw: changeRaw(tree.raw, random) }
}

function copy(tree: Tree): Tree {
  return structuredClone(tree)
}

function wrapped(tree: Tree, random: Random): Tree {
  const levels = random.pick([1, 1, 1, 3, 7, 20, 200])
  let out = copy(tree)
  for (let i = 0; i < levels; i++) out = random.once(2) ? { items: [out] } : { members: [['a', out]] }
  return out
}

function changedMembers(members: [string, Tree][], random: Random): [string, Tree][] {
  const at = random.below(members.length)
  const chosen = members[at]
  if (chosen === undefined || random.once(8)) return [...members, [random.pick(NAMES), { raw: random.pick(ODD) }]]
  const [name, value] = chosen
  const others = members.toSpliced(at, 1)
  switch (random.below(7)) {
    case 0:
    case 1:
      return others
    case 2:
      // Twice, with the same value or another, before or after.
      return members.toSpliced(random.once(2) ? at : at + 1, 0, [name, random.once(2) ? copy(value) : { raw: random.pick(ODD) }])
    case 3: {
      const renamed = random.pick([`${name} `, name.toUpperCase(), `${name}\u0000`, random.pick(NAMES), `${name}s`, name.slice(1)])
      return members.with(at, [renamed, value])
    }
    case 4:
      // The same members in another order mean the same.
      return others.toSpliced(random.below(members.length), 0, chosen)
    case 5: {
      const other = random.below(members.length)
      const [otherName, otherValue] = members[other] as [string, Tree]
      return members.with(at, [name, otherValue]).with(other, [otherName, value])
    }
    default:
      return [...members, ...many(random).map((i): [string, Tree] => [`${random.pick(NAMES)}${i}`, copy(value)])]
  }
}

function changedItems(items: Tree[], random: Random): Tree[] {
  const at = random.below(items.length)
  const chosen = items[at]
  if (chosen === undefined || random.once(4)) return [...items, { raw: random.pick(ODD) }]
  if (random.once(3)) return items.toSpliced(at, 1)
  return items.toSpliced(at, 0, ...many(random).map(() => copy(chosen)))
}

function many(random: Random): number[] {
  return Array.from({ length: random.pick([1, 1, 3, 50]) }, (_, i) => i)
}

function changeText(text: string, random: Random): string {
  const at = random.below(text.length + 1)
  switch (random.below(12)) {
    case 0:
      return text.slice(0, at)
    case 1:
      return text.slice(at)
    case 2:
      return ''
    case 3:
      return (
        text.slice(0, at) +
        random.pick(['=', '+', '/', ' ', '\n', '\u0000', '.', '*', '>', '%', '\\', '"', '\ud800', '\u00e4', '{{user}}', '-', '_']) +
        text.slice(at)
      )
    case 4:
      return text.slice(0, at) + String.fromCharCode(random.below(128)) + text.slice(at + 1)
    case 5:
      return text.toUpperCase() === text ? text.toLowerCase() : text.toUpperCase()
    case 6:
      return `${text}${'='.repeat((4 - (text.length % 4)) % 4)}`
    case 7:
      return text.repeat(random.pick([2, 2, 2, 3, 10, 100])).slice(0, 20_000)
    case 8:
      return random.pick([
        `\ufeff${text}`,
        ` ${text}`,
        `${text} `,
        text.normalize('NFD'),
        text.replaceAll('-', '+').replaceAll('_', '/'),
        'A'.repeat(text.length),
      ])
    case 9:
      return 'A'.repeat(random.pick([1, 43, 64, 86, 1024, 5462, 16_384, 16_385]))
    default:
      // What is in most strings of ours: bytes in base64url.
      return Buffer.from(mutateBytes(new Uint8Array(Buffer.from(text, 'base64url')), random)).toString('base64url')
  }
}

function changeRaw(raw: string, random: Random): string {
  const value = Number(raw)
  if (!Number.isFinite(value) || random.once(4)) return random.pick(ODD)
  return random.pick([
    `${value + 1}`,
    `${value - 1}`,
    `${-value}`,
    `"${raw}"`,
    `${raw}.0`,
    `${raw}e0`,
    `${raw}.5`,
    `[${raw}]`,
    `${value * 1000}`,
    `${value + random.next()}`,
  ])
}
