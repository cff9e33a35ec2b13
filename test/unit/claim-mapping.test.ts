import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { z } from 'zod'
import { readClaims, rolesNotInPolicy } from '../../src/core/people/claim-mapping.ts'
import type { ClaimMapping, IdpStatement } from '../../src/core/people/people.ts'
import { anyText } from '../support/any-text.ts'
import { personPolicy } from '../support/people-world.ts'

function statement(claims: Record<string, unknown>): IdpStatement {
  return { provider: 'corp', issuer: 'https://login.example.com', subject: 'person-1', authenticatedAt: null, claims }
}

type Changes = Partial<Omit<ClaimMapping, 'roles'>> & { roles?: Partial<ClaimMapping['roles']> }
function mapping({ roles, ...changes }: Changes = {}): ClaimMapping {
  return {
    roles: {
      pointer: '/groups',
      map: new Map([
        ['team', ['writer']],
        ['leads', ['admin', 'writer']],
      ]),
      listMax: null,
      ...roles,
    },
    handle: { pointer: '/preferred_username', prefix: '' },
    displayName: { pointer: '/name' },
    claims: {},
    ...changes,
  }
}

function read(claims: Record<string, unknown>, changes: Changes = {}) {
  const judged = readClaims(statement(claims), mapping(changes))
  assert.ok(judged.ok, JSON.stringify(judged))
  return judged.value
}

function refusal(claims: Record<string, unknown>, changes: Changes = {}): string {
  const judged = readClaims(statement(claims), mapping(changes))
  assert.ok(!judged.ok, 'accepted')
  assert.equal(judged.refusal.area, 'login')
  const { reason, check } = judged.refusal
  return check === null ? reason : `${reason}/${check}`
}

/** As claims arrive: own members with any name. */
const json = (text: string): Record<string, unknown> => z.custom<Record<string, unknown>>().parse(JSON.parse(text))

describe('roles', () => {
  test('come from text or a list of text, each once', () => {
    assert.deepEqual(read({ groups: 'team' }).roles, ['writer'])
    assert.deepEqual(read({ groups: ['leads', 'team', 'team'] }).roles, ['writer', 'admin'])
  })

  test('are none for values that are not in the map, in exactly that spelling', () => {
    for (const groups of ['TEAM', 'team ', 'team,leads', 'team leads', '', 'constructor', '__proto__', 'toString', ['other'], []])
      assert.deepEqual(read({ groups }).roles, [], String(groups))
  })

  test('are none where the claim is missing: never everything', () => {
    assert.deepEqual(read({}).roles, [])
    assert.deepEqual(read({ roles: ['team'] }).roles, [])
  })

  test('are not found on a prototype, however the claim is named', () => {
    for (const pointer of ['/__proto__/groups', '/constructor/name', '/groups/length', '/groups/constructor', '/toString'])
      assert.deepEqual(read({ groups: ['team'] }, { roles: { pointer } }).roles, [], pointer)
    const polluting = json('{"__proto__":{"groups":["leads"]},"groups":["team"]}')
    assert.deepEqual(read(polluting).roles, ['writer'])
    assert.equal(Object.hasOwn(Object.prototype, 'groups'), false)
    // An own member of that name is a member like any other.
    assert.deepEqual(read(polluting, { roles: { pointer: '/__proto__/groups' } }).roles, ['admin', 'writer'])
  })

  for (const [name, groups] of [
    ['a number', 7],
    ['null', null],
    ['true', true],
    ['an object', { team: true }],
    ['a list with a number', ['team', 7]],
    ['a list with null', [null, 'team']],
    ['a list of lists', [['team']]],
  ] satisfies [string, unknown][]) {
    test(`from ${name} are refused`, () => assert.equal(refusal({ groups }), 'role_claim_malformed/type'))
  }

  test('from a list or a text beyond all measure are refused', () => {
    assert.equal(refusal({ groups: Array.from({ length: 2_001 }, () => 'team') }), 'role_claim_malformed/size')
    assert.equal(refusal({ groups: ['team', 'x'.repeat(1_025)] }), 'role_claim_malformed/size')
    assert.equal(refusal({ groups: 'x'.repeat(1_025) }), 'role_claim_malformed/size')
  })

  test('are refused where the provider keeps the claim elsewhere', () => {
    const sources = { _claim_names: { groups: 'src1' }, _claim_sources: { src1: { endpoint: 'https://graph.example/x' } } }
    assert.equal(refusal(sources), 'groups_overage/left_out')
    // Also beside what looks like the claim.
    assert.equal(refusal({ ...sources, groups: ['team'] }), 'groups_overage/left_out')
    assert.equal(refusal({ ...sources, groups: [] }), 'groups_overage/left_out')
    assert.equal(refusal({ hasgroups: true }), 'groups_overage/left_out')
    assert.equal(refusal({ hasgroups: 'true' }), 'groups_overage/left_out')
    assert.equal(refusal({ realm: {}, _claim_names: { realm: 'src1' } }, { roles: { pointer: '/realm/roles' } }), 'groups_overage/left_out')
  })

  test('are read where it is another claim that is kept elsewhere', () => {
    const roles = { pointer: '/roles' }
    assert.deepEqual(read({ roles: ['team'], _claim_names: { groups: 'src1' }, hasgroups: true }, { roles }).roles, ['writer'])
    for (const names of [null, 'groups', ['groups'], {}])
      assert.deepEqual(read({ groups: ['team'], _claim_names: names }).roles, ['writer'])
  })

  test('are refused where the list is as long as the provider makes them', () => {
    const roles = { listMax: 3 }
    assert.deepEqual(read({ groups: ['team', 'x'] }, { roles }).roles, ['writer'])
    for (const groups of [
      ['team', 'x', 'y'],
      ['team', 'x', 'y', 'z'],
      ['a', 'b', 'c'],
    ])
      assert.equal(refusal({ groups }, { roles }), 'groups_overage/list_max')
    assert.deepEqual(read({ groups: 'team' }, { roles: { listMax: 1 } }).roles, ['writer'])
  })

  test('that the policy has not are found out', () => {
    assert.deepEqual(rolesNotInPolicy(mapping(), personPolicy()), [])
    const map = new Map([
      ['a', ['writer', 'wirter']],
      ['b', ['wirter', 'constructor']],
    ])
    assert.deepEqual(rolesNotInPolicy(mapping({ roles: { map } }), personPolicy()), ['wirter', 'constructor'])
  })
})

describe('handles', () => {
  test('are made of the claim: of an address its first part, letters without accents, nothing else', () => {
    for (const [username, handle] of [
      ['alice', 'alice'],
      ['Alice.Example@example.com', 'alice-example'],
      ['CORP\\alice', 'corp-alice'],
      ['Zoë Øster', 'zoe-ster'],
      ['a_b-c', 'a_b-c'],
      ['--a--', 'a'],
      ['ａｌｉｃｅ', 'alice'],
      ['../../x', 'x'],
      ['alice>*.$SYS', 'alice-sys'],
      ['@example.com', 'person'],
      ['李', 'person'],
      ['', 'person'],
      [7, 'person'],
      [['alice'], 'person'],
      [undefined, 'person'],
    ] satisfies [unknown, string][])
      assert.equal(read({ preferred_username: username }).handleHint, handle, String(username))
  })

  test('begin with the prefix, and have an end', () => {
    const handle = { pointer: '/preferred_username', prefix: 'partner-' }
    assert.equal(read({ preferred_username: 'bob' }, { handle }).handleHint, 'partner-bob')
    assert.equal(read({}, { handle }).handleHint, 'partner-person')
    assert.equal(read({ preferred_username: 'x'.repeat(500) }, { handle }).handleHint.length, 56)
  })

  test('are well formed whatever the claim holds', () => {
    fc.assert(
      fc.property(anyText({ maxLength: 300 }), (text) => {
        assert.match(read({ preferred_username: text }).handleHint, /^[a-z0-9_-]{1,56}$/)
      }),
    )
  })
})

describe('the name that is shown', () => {
  test('is the claim, without what could forge or reorder text', () => {
    assert.equal(read({ name: ' Alice Example ' }).displayName, 'Alice Example')
    assert.equal(read({ name: 'a\u202eb\nc' }).displayName, 'a\\u{202e}b\\u{a}c')
    assert.equal(read({ name: 'x'.repeat(500) }).displayName.length, 128)
  })

  test('is the handle where there is none', () => {
    for (const name of [undefined, '', '  ', 7, ['Alice']]) assert.equal(read({ name, preferred_username: 'alice' }).displayName, 'alice')
  })
})

describe('claims for templates', () => {
  const claims = { team: '/department', site: '/address/locality' }
  test('are short, plain text', () => {
    assert.deepEqual(read({ department: 'orders', address: { locality: 'Zürich' } }, { claims }).claims, { team: 'orders', site: 'Zürich' })
  })

  test('are left out where the provider says nothing', () => {
    assert.deepEqual(read({ department: '', address: 'x' }, { claims }).claims, {})
  })

  for (const [name, department] of [
    ['a number', 7],
    ['null', null],
    ['a list', ['orders']],
    ['an object', {}],
    ['text of 129 characters', 'x'.repeat(129)],
    ['a line break', 'a\nb'],
    ['an override of direction', 'a\u202eb'],
    ['half a character', 'a\ud800'],
    ['an escape', 'a\\u{41}'],
  ] satisfies [string, unknown][]) {
    test(`that are ${name} are refused, by name`, () => assert.equal(refusal({ department }, { claims }), 'claim_malformed/team'))
  }

  test('never reach a prototype', () => {
    const { claims: values } = read(
      { a: 'x' },
      {
        claims: Object.fromEntries([
          ['__proto__', '/a'],
          ['constructor', '/a'],
        ]),
      },
    )
    assert.deepEqual(Object.keys(values), ['__proto__', 'constructor'])
    assert.equal(Object.getPrototypeOf(values), Object.prototype)
  })
})
