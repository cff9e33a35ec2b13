/** YAML that can be read in one way only, with the line and column of everything in it. */
import { isMap, isScalar, isSeq, Lexer, LineCounter, type Node, type Pair, Parser, parseDocument, visit } from 'yaml'

/** One thing that is wrong in a file. Lines and columns count from 1. */
export interface DocumentIssue {
  line: number
  column: number
  /** Where it is, like `roles.orders.publish.allow[0]`; '' for the file as a whole. */
  path: string
  message: string
}

export type DocumentPath = readonly (string | number)[]

/** A parsed file: plain data, and where each part of it stands. */
export interface YamlDocument {
  data: unknown
  /** Position of the value at `path`, or of the nearest part around it that exists. */
  locate(path: DocumentPath): { line: number; column: number }
  /** Position of the key at the end of `path`. */
  locateKey(path: DocumentPath): { line: number; column: number }
}

const issuesMax = 100
const messageCharsMax = 200
// A level of the data is up to three tokens deep: collection, item, value.
const tokenDepthMax = 48

/** Parses `text`, or says what is wrong with it. Repeated keys, anchors, aliases, tags and directives are refused. */
export function parseYaml(
  text: string,
  limits: { bytesMax: number },
): { ok: true; document: YamlDocument } | { ok: false; issues: DocumentIssue[] } {
  const failed = (message: string) => ({ ok: false as const, issues: [{ line: 1, column: 1, path: '', message }] })
  if (new TextEncoder().encode(text).length > limits.bytesMax) return failed(`the file is larger than ${limits.bytesMax} bytes`)
  if (nestsDeeply(text)) return failed('the file nests too deeply')
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: false, stringKeys: true, merge: false, prettyErrors: false })
  const issues: DocumentIssue[] = []
  const report = (offset: number, message: string) => {
    if (issues.length < issuesMax) issues.push({ ...position(lines, offset), path: '', message: message.slice(0, messageCharsMax) })
  }
  for (const problem of [...document.errors, ...document.warnings]) report(problem.pos[0], problem.message)
  if (document.directives?.yaml.explicit === true) report(0, 'a %YAML directive is refused: this is YAML 1.2')
  const checkNode = (node: Node) => {
    if ('anchor' in node && typeof node.anchor === 'string') report(offsetOf(node), 'an anchor is refused')
    if (typeof node.tag === 'string' && node.tag !== '') report(offsetOf(node), 'a tag is refused')
  }
  visit(document, {
    Alias: (_key, node) => report(offsetOf(node), 'an alias is refused: write the value out'),
    // The visitor calls the most specific function alone, so maps are checked here too.
    Node: (_key, node) => checkNode(node),
    Map: (_key, map) => {
      checkNode(map)
      // The library's own check compares every key with every other.
      const seen = new Set<string>()
      for (const pair of map.items) {
        const name = keyOf(pair) ?? ''
        if (seen.has(name)) report(offsetOf(pair.key), `"${name}" stands here twice`)
        if (name === '__proto__') report(offsetOf(pair.key), '"__proto__" is not a name')
        seen.add(name)
      }
    },
  })
  if (issues.length > 0) return { ok: false, issues }
  const root = document.contents
  return {
    ok: true,
    document: {
      data: document.toJS({ maxAliasCount: 0 }),
      locate: (path) => position(lines, find(root, path, false)),
      locateKey: (path) => position(lines, find(root, path, true)),
    },
  }
}

/** `roles.orders.publish.allow[0]` */
export function pathText(path: DocumentPath): string {
  return path.map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i === 0 ? '' : '.'}${part}`)).join('')
}

// Composing a document recurses, and a hostile file must not exhaust the stack. Tokens are parsed without recursion.
function nestsDeeply(text: string): boolean {
  const parser = new Parser()
  for (const lexeme of new Lexer().lex(text)) {
    for (const _token of parser.next(lexeme));
    if (parser.stack.length > tokenDepthMax) return true
  }
  return false
}

function position(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset)
  return { line: Math.max(1, line), column: Math.max(1, col) }
}

function offsetOf(node: unknown): number {
  return typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range) ? Number(node.range[0]) : 0
}

function keyOf(pair: Pair<unknown, unknown>): string | null {
  return isScalar(pair.key) && typeof pair.key.value === 'string' ? pair.key.value : null
}

function find(root: Node | null, path: DocumentPath, atKey: boolean): number {
  let at = offsetOf(root)
  let node: unknown = root
  for (const [i, part] of path.entries()) {
    if (isMap(node)) {
      const pair = node.items.find((item) => keyOf(item) === String(part))
      if (pair === undefined) return at
      node = pair.value
      const wantsKey = node === null || (atKey && i === path.length - 1)
      at = offsetOf(wantsKey ? pair.key : node)
      // A block that begins on a later line is best pointed at by its key.
      if (!isScalar(node)) at = offsetOf(pair.key)
    } else if (isSeq(node) && typeof part === 'number') {
      node = node.items[part]
      if (node === undefined) return at
      at = offsetOf(node)
    } else return at
  }
  return at
}
