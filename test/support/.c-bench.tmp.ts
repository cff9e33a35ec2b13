import { startDeployment } from '/work/main/test/support/deployment.ts'
import { openVerifier, linkTo } from '/work/main/test/support/links.ts'
import { credentialRecord, guardEntry, newGuardKey } from '/work/main/test/support/records.ts'
import { credentialKey } from '/work/main/src/core/identifiers.ts'
import { createSystem } from '/work/main/src/nats/system.ts'
const d = await startDeployment()
const v = await openVerifier(d)
let t = performance.now()
const ge = guardEntry()
const N = 50_000
for (let i = 0; i < N; i += 500) {
  await Promise.all(Array.from({ length: 500 }, () => { const r = credentialRecord(); return v.link.nats.request(`$KV.webauthn_credentials.${credentialKey(r.id)}`, JSON.stringify(r), { timeout: 5000 }) }))
}
console.log('written', performance.now() - t)
t = performance.now()
const w = await openVerifier(d)
console.log('second verifier ready after', performance.now() - t, w.stores.credentials.counts(), w.reports.length, v.reports)
const some = [...w.stores.credentials.cache.cached()][100]![1].record.id
t = performance.now()
for (let i = 0; i < 100_000; i++) await w.stores.credentials.find(some)
console.log('100k hits', performance.now() - t)
t = performance.now()
for (let i = 0; i < 20_000; i++) { w.stores.guard.remember(newGuardKey(), { ...ge, clientId: i }); if (i % 200 === 0) await new Promise(r => setImmediate(r)) }
await w.link.nats.flush()
console.log('20k remembered', performance.now() - t)
let longest = 0, last = performance.now(); const iv = setInterval(() => { longest = Math.max(longest, performance.now() - last); last = performance.now() }, 1)
await d.server.kill(); const s = await d.server.restart()
t = performance.now()
while (!w.stores.isHealthy()) await new Promise(r => setTimeout(r, 5))
console.log('healthy again after', performance.now() - t, 'longest pause', longest, w.stores.guard.size(), w.reports.slice(0,3))
clearInterval(iv)
const sys = await linkTo(d, 'verifierSys')
const admin = await linkTo(d, 'admin')
console.log(await createSystem(sys).connectionsOf(d.publicKeys.admin as never), admin.nats.info?.client_id)
await admin.drain(); await sys.drain(); await v.close(); await w.close(); await s.stop()
process.exit(0)
