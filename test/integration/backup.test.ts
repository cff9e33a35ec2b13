/** A backup, changes, a lost store, a restore: what was taken away stays away, by connections to a real nats-server. */
import assert from 'node:assert/strict'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { connect, headers } from 'nats'
import { createAccount } from 'nkeys.js'
import { connectWithWebAuthn } from '../../src/client/index.ts'
import { loadKeyFile } from '../../src/client/key-file.ts'
import { credentialKey } from '../../src/core/identifiers.ts'
import { testNkey } from '../support/authorization-request.ts'
import { type Keeping, rolesOf, startKeeping } from '../support/keeping.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import type { TestIdentity } from '../support/product.ts'

interface Report {
  dryRun: boolean
  trail: { gap: string | null }
  buckets: { bucket: string; kept: number; restored: number; narrowed: number; reserved: number; held: number; conflicts: number }[]
  writes: { bucket: string; key: string; action: string; state?: string }[]
  conflicts: unknown[]
  again: { what: string; id: string }[]
}

const WROTE = 'PONG'
const REFUSED = 'Authorization Violation'

for (const line of NATS_LINES) {
  describe(`a backup of a deployment on nats-server ${line}`, () => {
    let keeping: Keeping
    let file: string
    const machines: Record<string, TestIdentity> = {}
    const who = (name: string): TestIdentity => machines[name] ?? assert.fail(name)
    const idOf = (name: string) => who(name).credential.id
    const [ended, open] = [testNkey('U'), testNkey('U')]
    let ticket = ''
    let lateId = ''
    let lateKey = ''

    const restore = async (...options: string[]): Promise<Report> =>
      JSON.parse((await keeping.done(['restore', file, '--json', ...options]))[0] ?? '') as Report
    const actionOn = (report: Report, key: string) => report.writes.find((write) => write.key === key)?.action
    const keyOf = (name: string) => credentialKey(idOf(name))

    before(async () => {
      keeping = await startKeeping(line)
      file = join(keeping.dir, 'monday.backup')
      await keeping.startVerifier()
      for (const name of ['good', 'stolen', 'leaver', 'demoted', 'cloned', 'let-go', 'shut']) machines[name] = await keeping.write(name)
      machines['counted'] = await keeping.write('counted', { credential: { signCount: 5 } })
      machines['demoted'] = await keeping.write('demoted', { identity: { roles: rolesOf('orders-writer', 'orders-reader') } })
      // Counters first, so that one can go back; then long enough ago for it to be no race.
      machines['cloned'] = await keeping.write('cloned', { credential: { signCount: 50 } })
      machines['let-go'] = await keeping.write('let-go', { credential: { state: 'quarantined', endedAt: 1 } })
      machines['shut'] = await keeping.write('shut', { identity: { state: 'disabled' } })
    })
    after(() => keeping.end())

    test('holds an endorsed session and an invitation that is out', async () => {
      assert.equal((await keeping.prove(who('good'), { endorse: ended })).verdict, 'granted.proof_endorsing')
      assert.equal((await keeping.prove(who('good'), { endorse: open })).verdict, 'granted.proof_endorsing')
      ticket = (await keeping.done(['invite', 'invited', '--machine', '--role', 'orders-writer']))[0] ?? ''
    })

    test('is a file for its owner alone, without a secret, that is never written over', async () => {
      await keeping.done(['backup', file])
      assert.equal(statSync(file).mode & 0o777, 0o600)
      const text = readFileSync(file, 'utf8')
      for (const secret of ['verifier/auth.seed', 'verifier/issuer.seed', 'verifier/xkey.seed']) {
        assert.equal(text.includes(readFileSync(join(keeping.dir, 'keys', secret), 'utf8').trim()), false)
      }
      const header = JSON.parse(text.split('\n')[0] ?? '') as { buckets: { bucket: string; sequence: number; included: boolean }[] }
      assert.equal(header.buckets.length, 11)
      assert.ok((header.buckets.find(({ bucket }) => bucket === 'webauthn_credentials')?.sequence ?? 0) >= 9)
      assert.equal((await keeping.cli(['backup', file])).code, 1)
      assert.equal(readFileSync(file, 'utf8'), text)
    })

    test('is not restored while a verifier runs', async () => {
      const { code, out } = await keeping.cli(['restore', file, '--json'])
      assert.deepEqual({ code, out: JSON.parse(out[0] ?? '') }, { code: 1, out: { refused: 'verifiers_running' } })
    })

    test('changes nothing where nothing was lost', async () => {
      await keeping.stopVerifier()
      const { writes, conflicts } = await restore()
      assert.deepEqual({ writes, conflicts }, { writes: [], conflicts: [] })
      await keeping.startVerifier()
    })

    test('brings back what was good and nothing that was taken away since', async () => {
      // What happens on Tuesday.
      await keeping.done(['credential', 'revoke', idOf('stolen')])
      await keeping.done(['session', 'revoke', ended.publicKey])
      await keeping.done(['identity', 'disable', 'leaver'])
      await keeping.done(['identity', 'roles', 'demoted', '--role', 'orders-reader'])
      assert.equal((await keeping.prove(who('cloned'), { signCount: 3 })).verdict, 'denied.sign_count_regression')
      await keeping.done(['credential', 'release', idOf('let-go')])
      await keeping.done(['identity', 'enable', 'shut'])
      assert.deepEqual(await keeping.prove(who('counted'), { signCount: 90 }), { answer: WROTE, verdict: 'granted.proof' })
      const late = await keeping.enrol('late')
      lateId = (await keeping.enrol('gone')).id
      lateKey = late.key
      await keeping.done(['credential', 'revoke', lateId])

      await keeping.stopVerifier()
      await keeping.loseStores('AUTH')
      const planned = await restore('--dry-run')
      assert.equal(planned.dryRun, true)
      const report = await restore()
      assert.equal(report.trail.gap, null)
      assert.deepEqual(
        report.writes.map(({ key, action }) => ({ key, action })),
        planned.writes.map(({ key, action }) => ({ key, action })),
      )
      assert.deepEqual(
        {
          good: actionOn(report, keyOf('good')),
          stolen: actionOn(report, keyOf('stolen')),
          leaver: actionOn(report, 'leaver'),
          demoted: actionOn(report, 'demoted'),
          cloned: actionOn(report, keyOf('cloned')),
          late: actionOn(report, 'late'),
          gone: report.writes.find(({ action, state }) => action === 'reserved' && state === 'revoked') !== undefined,
        },
        { good: 'restored', stolen: 'narrowed', leaver: 'narrowed', demoted: 'narrowed', cloned: 'narrowed', late: 'reserved', gone: true },
      )
      const onRecord = (await keeping.done(['audit', 'tail', 'verifier.succeeded.>'])).join('\n')
      assert.equal(onRecord.match(/verifier\.succeeded\.backed_up/g)?.length, 1)
      assert.equal(onRecord.match(/verifier\.succeeded\.restored/g)?.length, 2, 'this one, and the one that changed nothing')
      assert.deepEqual(report.again.map(({ what }) => what).sort(), ['credential release', 'identity enable'])

      await keeping.startVerifier()
      const verdicts = Object.fromEntries(
        await Promise.all(
          ['good', 'stolen', 'leaver', 'cloned', 'let-go', 'shut'].map(async (name) => [
            name,
            (await keeping.prove(who(name), { signCount: name === 'cloned' ? 60 : 0 })).verdict,
          ]),
        ),
      ) as Record<string, string>
      assert.deepEqual(verdicts, {
        good: 'granted.proof',
        stolen: 'denied.credential_revoked',
        leaver: 'denied.identity_disabled',
        cloned: 'denied.credential_quarantined',
        'let-go': 'denied.credential_quarantined',
        shut: 'denied.identity_disabled',
      })
    })

    test('brings no session and no invitation back, and endorses no revoked nkey again', async () => {
      assert.equal((await keeping.resume(open)).verdict, 'denied.session_unknown')
      assert.equal((await keeping.prove(who('good'), { endorse: ended })).verdict, 'denied.endorsement_refused')
      assert.equal((await keeping.prove(who('good'), { endorse: open })).verdict, 'granted.proof_endorsing')
      assert.equal((await keeping.resume(open)).verdict, 'granted.session_bound')
      const enrol = ['enrol', '--url', `http://localhost:${keeping.local.ports.enrolment}`, '--key', join(keeping.dir, 'invited.key')]
      assert.equal((await keeping.cli(enrol, ticket)).code, 1)
    })

    test('puts no counter back, so that a clone still shows', async () => {
      // Within ten seconds of the last count it passes for a race, and is refused all the same.
      assert.equal((await keeping.prove(who('counted'), { signCount: 60 })).answer, REFUSED)
      const [shown = '{}'] = await keeping.done(['credential', 'show', idOf('counted'), '--json'])
      assert.equal((JSON.parse(shown) as { signCount: number }).signCount, 90)
      assert.equal((await keeping.prove(who('counted'), { signCount: 91 })).answer, WROTE)
    })

    test('gives no role back', async () => {
      const text = (await keeping.done(['identity', 'show', 'demoted'])).join('\n')
      assert.equal(text.includes('orders-writer'), false)
      assert.equal(text.includes('orders-reader'), true)
    })

    test('keeps a handle that was given since for whom it was given to, and lets nobody in by it', async () => {
      await assert.rejects(connectWithWebAuthn(connect, { url: keeping.url, key: loadKeyFile(lateKey) }))
      // A person cannot be invited under the machine's name; the machine can be invited again.
      assert.equal((await keeping.cli(['invite', 'late', '--role', 'orders-reader'])).code, 1)
      assert.ok((await keeping.enrol('late')).id)
    })
  })
}

describe('a restore', () => {
  let keeping: Keeping
  let file: string
  let good: TestIdentity
  let bad: TestIdentity
  const restore = async (...options: string[]): Promise<Report> =>
    JSON.parse((await keeping.done(['restore', file, '--json', ...options]))[0] ?? '') as Report
  const refusal = async (...args: string[]): Promise<unknown> => {
    const { code, out } = await keeping.cli(['restore', ...args, '--json'])
    assert.equal(code, 1)
    return (JSON.parse(out[0] ?? '{}') as { refused?: string }).refused
  }

  before(async () => {
    keeping = await startKeeping('2.15')
    file = join(keeping.dir, 'monday.backup')
    await keeping.startVerifier()
    good = await keeping.write('good')
    bad = await keeping.write('bad')
    await keeping.done(['backup', file])
  })
  after(() => keeping.end())

  test('narrows live buckets that somebody put back to an older state', async () => {
    await keeping.done(['credential', 'revoke', bad.credential.id])
    await keeping.stopVerifier()
    // As `nats stream restore` would.
    const auth = await keeping.as('verifier/auth.seed', '_INBOX_verifier')
    await auth.jetstream().publish(`$KV.webauthn_credentials.${credentialKey(bad.credential.id)}`, JSON.stringify(bad.credential))
    await auth.close()
    const { writes } = await restore()
    assert.deepEqual(
      writes.map(({ key, action, state }) => ({ key, action, state })),
      [{ key: credentialKey(bad.credential.id), action: 'narrowed', state: 'revoked' }],
    )
    assert.deepEqual((await restore()).writes, [], 'done twice, it does nothing more')
  })

  test('writes a tombstone again that somebody deleted', async () => {
    await keeping.startVerifier()
    const session = testNkey('U')
    await keeping.prove(good, { endorse: session })
    await keeping.done(['session', 'revoke', session.publicKey])
    await keeping.stopVerifier()
    const auth = await keeping.as('verifier/auth.seed', '_INBOX_verifier')
    const deletion = headers()
    deletion.set('KV-Operation', 'DEL')
    await auth.jetstream().publish(`$KV.webauthn_revoked_nkeys.${session.publicKey}`, '', { headers: deletion })
    await auth.close()
    const { writes } = await restore()
    assert.deepEqual(
      writes.map(({ bucket, key, action }) => ({ bucket, key, action })),
      [{ bucket: 'webauthn_revoked_nkeys', key: session.publicKey, action: 'reserved' }],
    )
  })

  test('refuses a file that was changed, cut short, or made elsewhere', async () => {
    const text = readFileSync(file, 'utf8')
    const variants: [string, string][] = [
      ['digest_mismatch', text.replace('"signCount":0', '"signCount":1')],
      ['truncated', text.slice(0, text.lastIndexOf('\n', text.length - 2) + 1)],
      ['other_deployment', text.replace(/"issuer":"A[A-Z2-7]+"/, `"issuer":"${createAccount().getPublicKey()}"`)],
    ]
    for (const [reason, changed] of variants) {
      const path = join(keeping.dir, `${reason}.backup`)
      writeFileSync(path, changed, { mode: 0o600 })
      assert.equal(await refusal(path), reason)
    }
  })

  test('refuses where the trail of the time since is gone, and otherwise admits nobody before an administrator says so', async () => {
    await keeping.loseStores('AUTH', 'AUDIT')
    assert.equal(await refusal(file), 'audit_gap')
    const { trail, buckets } = await restore('--accept-gap')
    assert.equal(trail.gap, 'replaced')
    assert.deepEqual(
      buckets.map(({ bucket, held }) => ({ bucket, held })),
      [
        { bucket: 'webauthn_credentials', held: 2 },
        { bucket: 'webauthn_identities', held: 2 },
        { bucket: 'webauthn_revoked_nkeys', held: 0 },
      ],
    )
    await keeping.startVerifier()
    for (const who of [good, bad]) assert.equal((await keeping.prove(who)).verdict, 'denied.credential_quarantined')
    await keeping.done(['credential', 'release', good.credential.id])
    assert.equal((await keeping.prove(good)).verdict, 'denied.identity_disabled')
    await keeping.done(['identity', 'enable', 'good'])
    assert.equal((await keeping.prove(good)).verdict, 'granted.proof')
  })
})
