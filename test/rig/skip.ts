// Why a test is skipped where it cannot run.
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** What nginx loads to serve other things than HTTP. */
export const NGINX_STREAM = '/usr/lib/nginx/modules/ngx_stream_module.so'
const FOLDERS = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']

/** The reason to skip a test that needs these programs; false when all are there. `nginx` means its stream module too. */
export function skipWithout(...programs: readonly string[]): string | false {
  const missing = programs.filter((name) => {
    if (name === 'nginx' && !existsSync(NGINX_STREAM)) return true
    return !FOLDERS.some((folder) => existsSync(join(folder, name)))
  })
  return missing.length === 0 ? false : `not installed: ${missing.join(', ')}`
}

/** The options of a test that needs real root: in a user namespace others' ids and some capabilities are missing. */
export const NEEDS_ROOT: { readonly skip: string | false } = {
  skip: isRealRoot() ? false : 'needs real root: this is a user namespace',
}

function isRealRoot(): boolean {
  return readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/).join(' ') === '0 0 4294967295'
}
