/**
 * `node --import ./bench/without-audit.mjs DIST/cli/main.js serve`: the verifier as built, but for the module that makes and
 * sends audit records. In its place stands one that acknowledges at once, so that the bench can tell what recording costs.
 * The product has no such mode: it is the loader of modules that is told to read another file.
 */
import { register } from 'node:module'

const publisher = `
const nothing = { records: 0, verdicts: 0 }
export const createAuditPublisher = () => ({
  audit: { record: async () => {}, note: () => {} },
  lifecycle: { record: async () => {} },
  backlog: () => ({ WEBAUTHN_AUDIT: nothing, WEBAUTHN_DENIALS: nothing }),
  flush: async () => nothing,
})
`
const hooks = `
export async function load(url, context, next) {
  if (!url.endsWith('/dist/audit/publisher.js')) return next(url, context)
  return { format: 'module', shortCircuit: true, source: ${JSON.stringify(publisher)} }
}
`
register(`data:text/javascript,${encodeURIComponent(hooks)}`)
