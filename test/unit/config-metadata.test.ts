/** The section `metadata` of the configuration. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { ConfigInvalid, readConfig } from '../../src/config.ts'
import { type ConfigDir, makeConfigDir } from '../support/config-dir.ts'

describe('metadata in the configuration', () => {
  const made: ConfigDir[] = []
  after(() => {
    for (const { remove } of made) remove()
  })
  const read = (section: string) => {
    const config = makeConfigDir((text) => `${text}\n${section}\n`)
    made.push(config)
    return { dir: config.dir, config: () => readConfig(config.file).metadata }
  }
  test('is nothing where it is not written', () => assert.equal(read('').config(), null))
  test('names files beside the configuration', () => {
    const { dir, config } = read('metadata: { blob_file: mds.jwt }')
    assert.deepEqual(config(), { blobFile: join(dir, 'mds.jwt'), rootFile: null })
    const own = read('metadata: { blob_file: /srv/mds.jwt, root_file: roots.pem }')
    assert.deepEqual(own.config(), { blobFile: '/srv/mds.jwt', rootFile: join(own.dir, 'roots.pem') })
  })
  test('needs the blob, and knows nothing else', () => {
    for (const section of [
      'metadata: {}',
      'metadata: { root_file: x }',
      'metadata: { blob_file: x, url: https://mds3.fidoalliance.org }',
    ]) {
      assert.throws(read(section).config, ConfigInvalid, section)
    }
  })
})
