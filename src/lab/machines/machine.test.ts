import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { eventually } from '../../../test/rig/eventually.ts'
import { Machine, type MachineEnd } from './machine.ts'
import { makeSkeleton } from './skeleton.ts'

// As in a lab, what machines write is in memory.
const base = mkdtempSync('/run/truepeer-machine-')
after(() => rmSync(base, { recursive: true, force: true }))
const skeleton = await makeSkeleton(join(base, 'skeleton'))

test('a machine has a name, files, processes and a serial port of its own, which stay while it is off', async (t) => {
  writeFileSync(join(base, 'shared'), 'from outside')
  const machine = new Machine({
    name: 'my-backend',
    namespace: `my-backend-${process.pid}`,
    directory: join(base, 'my-backend'),
    files: {
      shared: { '/opt/deep/shared': join(base, 'shared') },
      links: { '/usr/local/bin/link': '/opt/deep' },
      skeleton,
    },
  })
  const ends: MachineEnd[] = []
  const start = () => machine.start((end) => ends.push(end))
  const out = async (script: string) => {
    const { stdout, stderr } = await machine.run('sh', ['-c', script])
    return (stdout + stderr).trim()
  }
  await machine.makeNetwork()
  t.after(async () => {
    if (existsSync(machine.namespacePath)) await machine.remove()
  })
  await start()
  const [own, ours] = [await out('hostname; cat /etc/hostname'), hostname()]
  assert.equal(own, 'my-backend\nmy-backend')
  assert.equal(hostname(), ours)
  assert.equal(await out('cat /proc/1/comm; ip -o link | wc -l; cat /usr/local/bin/link/shared'), 'sh\n1\nfrom outside')
  assert.match(await out('echo x >/opt/deep/shared'), /Read-only file system/)

  assert.deepEqual(
    (await out('ls /')).split('\n').filter((name) => !existsSync(`/${name}`)),
    [],
    'it has no other directories',
  )
  // What it writes is in none of the places outside.
  const marker = `truepeer-${process.pid}`
  for (const path of ['/etc', '/usr/local/bin', '/var/lib', '/tmp', '/root', '/run', '/opt']) {
    assert.equal(await out(`echo own >${path}/${marker} && cat ${path}/${marker}`), 'own', path)
    assert.equal(existsSync(`${path}/${marker}`), false, path)
    assert.equal(readFileSync(`${machine.root}${path}/${marker}`, 'utf8'), 'own\n')
  }
  assert.match(
    await out('cd /proc/sys/kernel && values=$(cat printk) && echo $values >printk'),
    /Read-only file system|Permission denied/,
  )
  const trigger = '/proc/sysrq-trigger'
  if (existsSync(trigger)) assert.equal(await out(`stat -c %t:%T ${trigger}`), '1:3', 'it is /dev/null')
  assert.equal(await out('echo 1 >/proc/sys/net/ipv4/ip_forward && cat /proc/sys/net/ipv4/ip_forward'), '1')

  // Whoever is left without a parent is reaped, and the serial port has what was written to it.
  await out('(sh -c "sh -c \'exec sleep 0.01\' &" &) ; echo to the console >/dev/console; echo again >/dev/ttyS0')
  await eventually('nobody waits to be reaped', async () => !(await out('cat /proc/[0-9]*/stat')).includes(' Z '))
  await eventually('the console is read', () =>
    /^my-backend has started\nto the console\nagain\n$/.test(machine.serial.read(0).contents),
  )

  // Devices are this machine's; nobody inside changes their mode, which is everybody's.
  assert.match(await out('chmod 600 /dev/null && echo done'), /Read-only file system|not permitted/)
  assert.equal(await out('echo x >/dev/null && head -c 2 /dev/urandom | wc -c'), '2')

  // Nor does anybody set the clock, load a module or read what the kernel says (capabilities(7)).
  for (const process of ['self', '1']) {
    const powers = BigInt(`0x${await out(`sed -n 's/^CapBnd:\\s*//p' /proc/${process}/status`)}`)
    assert.deepEqual(
      [16n, 17n, 25n, 34n].filter((power) => (powers >> power) & 1n),
      [],
    )
  }
  assert.match(await out('mknod /root/null c 1 3 && cat /root/null'), /Permission denied|not permitted/)

  assert.equal((await machine.run('sh', ['-c', 'kill -KILL $$'])).exitCode, 137)
  assert.equal((await machine.run('no-such-program')).exitCode, 127)
  // Who is stopped does not keep the machine from its end.
  machine.startProgram('sleep', ['601'])
  await eventually(
    'it is stopped',
    async () => (await machine.run('pkill', ['-STOP', '-xf', 'sleep 601'])).exitCode === 0,
  )
  await out('(trap "" TERM; exec sleep 600) >/dev/null 2>&1 &')
  const { initPid } = machine
  // A link to a place outside leads, at the next start too, to that place in the machine.
  const elsewhere = mkdtempSync(join(tmpdir(), 'truepeer-elsewhere-'))
  t.after(() => rmSync(elsewhere, { recursive: true }))
  const links = ['/opt/deep', '/usr/local/bin', '/usr/local/sbin'].map(
    (path) => `rm -r ${path}; ln -s ${elsewhere} ${path}`,
  )
  assert.equal(await out(`mkdir -p ${elsewhere}; umount /opt/deep/shared; ${links.join('; ')}`), '')
  await machine.kill()
  assert.deepEqual([ends, machine.isRunning, existsSync(`/proc/${initPid}`)], [['stopped'], false, false])
  assert.throws(() => machine.initPid, /The machine "my-backend" is off/)

  await start()
  assert.equal(await out(`cat /etc/${marker} /tmp/${marker}`), 'own\nown', 'files stay')
  assert.equal(await out(`test -e /run/${marker} || echo gone`), 'gone', '/run begins anew')
  assert.deepEqual(readdirSync(elsewhere), [])
  assert.equal(await out('cat /opt/deep/shared'), 'from outside')
  const polite =
    'trap "echo asked to end >/dev/console; exit" TERM; echo waiting >/dev/console; while :; do sleep 0.05; done'
  await out(`setsid sh -c '${polite}' >/dev/null 2>&1 &`)
  const says = (text: string) =>
    eventually(`the console has "${text}"`, () => machine.serial.read(0).contents.endsWith(text))
  await says('my-backend has started\nwaiting\n')
  await machine.stop()
  await machine.stop()
  await says('my-backend is stopping\nasked to end\n')

  await start()
  await out('kill -TERM 1')
  await eventually('the end is told', () => ends.length === 3)
  assert.deepEqual(ends, ['stopped', 'stopped', 'ended'])

  await machine.remove()
  assert.deepEqual([existsSync(machine.namespacePath), existsSync(join(base, 'my-backend'))], [false, false])
})

test('a machine that cannot be set up says why', async (t) => {
  const machine = new Machine({
    name: 'broken',
    namespace: `broken-${process.pid}`,
    directory: join(base, 'broken'),
    files: {
      shared: { '/opt/x': '/nowhere/at/all' },
      links: {},
      skeleton,
    },
  })
  await machine.makeNetwork()
  t.after(() => machine.remove())
  await assert.rejects(
    machine.start(() => {}),
    /^Error: The machine "broken" cannot be set up: mount: .*\/nowhere\/at\/all/,
  )
  assert.equal(machine.isRunning, false)
})

test('a machine whose shell prints without end is given up at once', async (t) => {
  const machine = new Machine({
    name: 'loud',
    namespace: `loud-${process.pid}`,
    directory: join(base, 'loud'),
    files: { shared: {}, links: {}, skeleton },
  })
  await machine.makeNetwork()
  t.after(() => machine.remove())
  await machine.start(() => {})
  // What runs it has to be there in the machine, too, whose /tmp is its own.
  const loud = '#!/usr/bin/yes --\n'
  const { exitCode, stderr } = await machine.run(
    'sh',
    ['-c', 'sh=$(readlink -f /bin/sh) && cat >/root/sh && chmod 755 /root/sh && mv -f /root/sh "$sh"'],
    { input: loud },
  )
  assert.equal(exitCode, 0, stderr)
  await machine.kill()
  await assert.rejects(
    machine.start(() => {}),
    /"loud" cannot be set up: its shell says something else/,
  )
})
