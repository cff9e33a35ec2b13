import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { atPointer, parsePointer } from '../../src/core/people/json-pointer.ts'

describe('JSON pointers', () => {
  test('are those of RFC 6901', () => {
    // The examples of §5.
    const document = { foo: ['bar', 'baz'], '': 0, 'a/b': 1, 'c%d': 2, 'e^f': 3, 'g|h': 4, 'i\\j': 5, 'k"l': 6, ' ': 7, 'm~n': 8 }
    for (const [pointer, expected] of [
      ['', document],
      ['/foo', ['bar', 'baz']],
      ['/foo/0', 'bar'],
      ['/', 0],
      ['/a~1b', 1],
      ['/c%d', 2],
      ['/e^f', 3],
      ['/g|h', 4],
      ['/i\\j', 5],
      ['/k"l', 6],
      ['/ ', 7],
      ['/m~0n', 8],
    ] satisfies [string, unknown][])
      assert.deepEqual(atPointer(document, pointer), expected, pointer)
    assert.deepEqual(parsePointer('/~01'), ['~1'])
  })

  test('lead nowhere where there is no such member', () => {
    for (const pointer of ['/foo/2', '/foo/-', '/foo/00', '/foo/01', '/foo/-1', '/foo/1e0', '/foo/length', '/foo/0/0', '/bar', '/bar/baz'])
      assert.equal(atPointer({ foo: ['bar', 'baz'] }, pointer), undefined, pointer)
    for (const value of [null, undefined, 7, 'text', true]) assert.equal(atPointer(value, '/length'), undefined)
  })

  test('that are none are refused', () => {
    for (const text of ['groups', 'a/b', '#/groups', '/~', '/~2', '/a~', ' /a', `/${'x'.repeat(512)}`])
      assert.equal(parsePointer(text), null, text)
    assert.throws(() => atPointer({}, 'groups'))
  })
})
