/** docs/http-api.md says what the server does: its routes, limits and cookies. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { createCookies } from '../../src/http/cookies.ts'
import { DEFAULT_RATE_LIMITS } from '../../src/http/server.ts'
import { PROGRAM_ROUTES, routesOf } from '../support/http-routes.ts'

const page = readFileSync(new URL('../../docs/http-api.md', import.meta.url), 'utf8')

/** Cells of the table that follows `heading`. */
function table(heading: string): string[][] {
  assert.ok(page.includes(`\n${heading}\n`), heading)
  const rows =
    /(?:^\|.*\n)+/m
      .exec(page.slice(page.indexOf(`\n${heading}\n`)))?.[0]
      .trim()
      .split('\n') ?? []
  return rows.slice(2).map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

const routes = table('## Routes')

describe('docs/http-api.md', () => {
  test('has every route that the server has, and no other', async () => {
    assert.deepEqual(routes.map(([route]) => route?.replaceAll('`', '')).sort(), await routesOf({ people: true }))
  })

  test('has the routes of machines as all there are where no people are configured', async () => {
    const machines = routes.filter(([, caller]) => caller === 'machine').map(([route]) => route?.replaceAll('`', ''))
    assert.deepEqual(machines.sort(), await routesOf({ people: false }))
  })

  test('names the callers of the routes as the server tells them apart', () => {
    const terminals = routes.filter(([, caller]) => caller === 'terminal').map(([route]) => route?.replaceAll('`', ''))
    assert.deepEqual(
      terminals,
      PROGRAM_ROUTES.map((path) => `POST ${path}`),
    )
  })

  test('has the limits that hold', () => {
    const { perSource, strangersPerSource, lightPerSource, ceremoniesPerPerson, codesPerPerson, windowSeconds } = DEFAULT_RATE_LIMITS
    assert.deepEqual(
      table('## Limits').map(([, most]) => Number(most)),
      [perSource, strangersPerSource, lightPerSource, ceremoniesPerPerson, codesPerPerson],
    )
    assert.equal(windowSeconds, 60)
  })

  test('has the cookies that are set', () => {
    const set: string[][] = []
    const reply = {
      setCookie(name: string, _: string, { maxAge, sameSite }: { maxAge: number; sameSite: string }) {
        const site = sameSite === 'strict' ? 'Strict' : 'Lax'
        set.push([`\`${name}\``, `\`HttpOnly; Secure; SameSite=${site}; Path=/; Max-Age=${maxAge}\``])
      },
    }
    const cookies = createCookies('https://verifier.example.com')
    cookies.setLogin(reply as never, '')
    cookies.setIdp(reply as never, '')
    assert.deepEqual(
      table('## Cookies').map(([name, , attributes]) => [name, attributes]),
      set,
    )
  })
})
