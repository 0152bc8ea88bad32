import assert from 'node:assert/strict'
import { test } from 'node:test'
import { iptablesRuleTranslates, isForwarder } from './published-ports.ts'

test('a line of iptables-save is read for the ports that it translates', () => {
  for (const [line, isTranslated] of [
    ['-A DOCKER ! -i docker0 -p tcp -m tcp --dport 112 -j DNAT --to-destination 172.17.0.2:80', true],
    ['-A DOCKER -p tcp -m tcp --dport 1120 -j DNAT --to-destination 172.17.0.2:80', false],
    ['-A OUTPUT -p tcp -m multiport --dports 80,100:120 -j DNAT --to-destination 172.17.0.2', true],
    ['-A OUTPUT -p tcp -m multiport --dports 80,113:120 -j REDIRECT --to-ports 81', false],
    ['-A OUTPUT -p tcp -m tcp ! --dport 112 -j REDIRECT --to-ports 81', false],
    ['-A OUTPUT -p tcp -m tcp ! --dport 113 -j REDIRECT --to-ports 81', true],
    ['-A OUTPUT -d 127.0.0.1/32 -j DNAT --to-destination 172.17.0.2', true],
    ['-A OUTPUT -p udp -m udp --dport 112 -j DNAT --to-destination 172.17.0.2', false],
    ['-A POSTROUTING -p tcp -m tcp --dport 112 -j MASQUERADE', false],
    [':DOCKER - [0:0]', false],
  ] as const) {
    assert.equal(iptablesRuleTranslates(line, 112, 'tcp'), isTranslated, line)
  }
  const ofUdp = '-A OUTPUT -p udp -m udp --dport 112 -j DNAT --to-destination 172.17.0.2'
  assert.ok(iptablesRuleTranslates(ofUdp, 112, 'udp') && !iptablesRuleTranslates(ofUdp, 113, 'udp'))
})

test('programs that pass bytes on are known by their names, cut as the kernel cuts them', () => {
  for (const name of ['docker-proxy', 'rootlessport', 'pasta.avx2', 'systemd-socket-'])
    assert.ok(isForwarder(name), name)
  for (const name of ['nginx', 'dockerd', 'systemd']) assert.ok(!isForwarder(name), name)
})
