import assert from 'node:assert/strict'
import { test } from 'node:test'
import { storeError } from './data-directory.ts'
import { StoreError, StoreFullError } from './store.ts'

const PATH = '/data/controller.db'

function failure(code: string | undefined, message = 'it failed'): Error {
  return Object.assign(new Error(message), code === undefined ? {} : { code })
}

test('a full disk is one kind of error, whoever has noticed it', () => {
  for (const code of ['SQLITE_FULL', 'ENOSPC', 'EDQUOT']) {
    const error = storeError(failure(code), PATH)
    assert.ok(error instanceof StoreFullError, code)
    assert.match(
      error.message,
      /^The disk of "\/data\/controller\.db" is full and nothing was changed; free some space/,
    )
  }
})

test('a damaged database is told with how to get it back, and any other error of SQLite with its path', () => {
  for (const code of ['SQLITE_CORRUPT', 'SQLITE_NOTADB']) {
    assert.match(storeError(failure(code), PATH, 'restore it').message, /controller\.db" .*restore it/)
  }
  for (const error of [failure('SQLITE_IOERR_READ'), failure(undefined, 'ConnectionFailed: no such file')]) {
    const told = storeError(error, PATH)
    assert.ok(told instanceof StoreError && !(told instanceof StoreFullError))
    assert.match(told.message, /controller\.db"/)
  }
})

test('an error that is not of the store stays as it is', () => {
  for (const error of [new TypeError('x is undefined'), new StoreError('told already')]) {
    assert.equal(storeError(error, PATH), error)
  }
})
