import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { LineRole, TestApp, TestLoop } from '../connection/test-loop.ts'
import { Services } from './services.ts'

/** An entrance that asks a place for its service, and what is closed of all that there is. */
function start(t: TestContext) {
  const closed: string[] = []
  const services = new Services<LineRole>()
  const apps = new Map<string, TestApp>()
  const make = (name: string): LineRole => {
    const app = new TestApp()
    apps.set(name, app)
    t.after(() => app.close())
    return Object.assign(new LineRole(app.endpoint), { closed: () => void closed.push(name) })
  }
  services.set('my-service', make('first'))
  const place = services.place('my-service')
  place.uses.acquire()
  const nowhere = new TestApp()
  t.after(() => nowhere.close())
  const entrance = Object.assign(new LineRole(nowhere.endpoint), {
    route: () => place.service,
    closed: () => {
      closed.push('entrance')
      place.uses.release()
    },
  })
  const loop = new TestLoop(entrance)
  t.after(() => loop.close())
  const app = (name: string): TestApp => {
    const found = apps.get(name)
    assert.ok(found)
    return found
  }
  return { closed, services, make, loop, entrance, app }
}

test('a service is closed once another has its name and its last connection has ended', (t) => {
  const { closed, services, make, loop, app } = start(t)
  const { client, backend } = loop.establish(app('first'))
  services.set('my-service', make('second'))
  assert.deepEqual(closed, [])
  loop.establish(app('second'))
  client.send('more')
  assert.equal(loop.read(backend), 'more')
  client.reset()
  loop.until('one has ended', () => loop.ended.length === 1)
  assert.deepEqual(closed, ['first'])
})

test('a client whose header comes after a change is led to the new service', (t) => {
  const { closed, services, make, loop, app } = start(t)
  const client = loop.connect()
  loop.until('accepted', () => loop.loop.openCount === 1)
  services.set('my-service', make('second'))
  assert.deepEqual(closed, ['first'])
  client.send('header\nhello')
  assert.equal(loop.read(loop.accept(app('second'))), 'hello')
})

test('an entrance that was replaced leads its clients to the service as long as one of them says nothing', (t) => {
  const { closed, services, loop, entrance, app } = start(t)
  const client = loop.connect()
  const gone = loop.connect()
  loop.until('accepted', () => loop.loop.openCount === 2)
  entrance.uses.retire()
  services.remove('my-service')
  assert.throws(() => services.place('my-service'), /no service "my-service"/)
  gone.reset()
  loop.until('one has ended', () => loop.ended.length === 1)
  assert.deepEqual(closed, [])
  client.send('header\nhello')
  const backend = loop.accept(app('first'))
  assert.equal(loop.read(backend), 'hello')
  assert.deepEqual(closed, ['entrance'])
  client.reset()
  loop.until('both have ended', () => loop.ended.length === 2)
  assert.deepEqual(closed, ['entrance', 'first'])
})
