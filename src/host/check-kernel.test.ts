import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CAP_NET_ADMIN, CAP_NET_BIND_SERVICE, isCapabilitySet } from './capabilities.ts'
import {
  checkConntrack,
  checkEphemeralPorts,
  checkMigrateRequests,
  checkNonlocalBind,
  checkOpenFiles,
  checkPipes,
  checkRpFilter,
} from './check-kernel.ts'
import { FILE_NAMES, FLAG_NAMES } from './setting-names.ts'

const settings = (values: Record<string, string>) => (name: string) => values[name]

test("ports that clients use too are warned of, unless clients' ports are not kept", () => {
  const check = (range: string, keepsClientPorts: boolean, names = FLAG_NAMES) =>
    checkEphemeralPorts(settings({ 'net.ipv4.ip_local_port_range': range }), keepsClientPorts, names)
  assert.equal(check('32768\t60999', true).status, 'warn')
  assert.equal(check('15000\t32768', true).status, 'warn')
  assert.equal(check('15000\t32767', true).status, 'ok')
  assert.equal(check('32768\t60999', false).status, 'ok')
  assert.match(check('32768\t60999', true).remedy, /or give --source-port ephemeral$/)
  assert.match(check('32768\t60999', true, FILE_NAMES).remedy, /or give "sourcePort: ephemeral" in the file$/)
})

test('a table of connections is warned of from more than 80 % on', () => {
  const entries = (count: string, max: string) =>
    settings({ 'net.netfilter.nf_conntrack_count': count, 'net.netfilter.nf_conntrack_max': max })
  assert.equal(checkConntrack(entries('80', '100')).status, 'ok')
  assert.equal(checkConntrack(entries('81', '100')).status, 'warn')
  assert.match(checkConntrack(entries('81', '100')).remedy, /nf_conntrack_max=400/)
  assert.equal(checkConntrack(settings({})).status, 'ok')
})

test('strict reverse path filtering matters only to an app that is not on loopback', () => {
  const strict = settings({ 'net.ipv4.conf.all.rp_filter': '1', 'net.ipv4.conf.lo.rp_filter': '0' })
  assert.equal(checkRpFilter(strict, true).status, 'ok')
  assert.equal(checkRpFilter(strict, false).status, 'warn')
  const loose = settings({ 'net.ipv4.conf.all.rp_filter': '2', 'net.ipv4.conf.lo.rp_filter': '1' })
  assert.equal(checkRpFilter(loose, false).status, 'ok')
})

test('non-local binds fail for either family, and a kernel without IPv6 is no failure', () => {
  assert.equal(checkNonlocalBind(settings({ 'net.ipv4.ip_nonlocal_bind': '0' })).status, 'ok')
  const bad = checkNonlocalBind(settings({ 'net.ipv4.ip_nonlocal_bind': '0', 'net.ipv6.ip_nonlocal_bind': '1' }))
  assert.equal(bad.status, 'fail')
  assert.equal(bad.remedy, 'sysctl -w net.ipv6.ip_nonlocal_bind=0')
})

test('pipes are limited for ordinary users only', () => {
  const few = settings({ 'fs.pipe-user-pages-soft': '100' })
  assert.equal(checkPipes(few, false).status, 'warn')
  assert.equal(checkPipes(few, true).status, 'ok')
  assert.equal(checkPipes(settings({ 'fs.pipe-user-pages-soft': '0' }), false).status, 'ok')
  assert.equal(checkPipes(settings({ 'fs.pipe-user-pages-soft': '16384' }), false).status, 'ok')
})

test('the hard limit of open files has to do for the connections asked for', () => {
  const limits = (hard: string) =>
    `Max processes             1  2  processes\nMax open files            1024  ${hard}  files\n`
  assert.equal(checkOpenFiles(limits('4096'), 0).status, 'warn')
  assert.equal(checkOpenFiles(limits('1048576'), 0).status, 'ok')
  assert.equal(checkOpenFiles(limits('unlimited'), 0).status, 'ok')
  assert.equal(checkOpenFiles(limits('4096'), 1_000).status, 'ok')
  assert.equal(checkOpenFiles(limits('4096'), 3_000).status, 'warn')
})

test('tcp_migrate_req is warned of when it is off, not when the kernel lacks it', () => {
  assert.equal(checkMigrateRequests(settings({ 'net.ipv4.tcp_migrate_req': '1' })).status, 'ok')
  assert.equal(checkMigrateRequests(settings({ 'net.ipv4.tcp_migrate_req': '0' })).status, 'warn')
  assert.equal(checkMigrateRequests(settings({})).status, 'ok')
})

test('a capability is read from the effective set, not from another', () => {
  const status = 'CapPrm:\t0000000000001000\nCapEff:\t0000000000000400\nCapBnd:\t000001ffffffffff\n'
  assert.equal(isCapabilitySet(status, CAP_NET_BIND_SERVICE), true)
  assert.equal(isCapabilitySet(status, CAP_NET_ADMIN), false)
  assert.equal(isCapabilitySet('', CAP_NET_ADMIN), false)
})
