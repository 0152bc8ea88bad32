// Documents name files, flags and configuration that exist: what they say can be typed as it stands.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { checkRegionFile } from '../../src/balancing/own-regions.ts'
import { readAgent } from '../../src/cli/agent.ts'
import { parseAgentConfig } from '../../src/cli/agent-config.ts'
import { parseAgentInstall } from '../../src/cli/agent-install.ts'
import { parseBackup, parseController, parseRestore, parseToken } from '../../src/cli/controller.ts'
import { parseDoctor, parseEdgeDoctor } from '../../src/cli/doctor.ts'
import { parseEdge } from '../../src/cli/edge.ts'
import { parseHostSetup } from '../../src/cli/host-setup.ts'
import { exampleAgentConfig } from '../../src/cli/reference.ts'
import { parseStatus } from '../../src/cli/status.ts'
import { parseSteer } from '../../src/cli/steer.ts'
import { parseVerify, parseWhoami } from '../../src/cli/verify.ts'
import { readResources } from '../../src/compute/read-resources.ts'
import { readYamlDocuments } from '../../src/compute/yaml-documents.ts'
import { methods } from '../../src/controller/methods/methods.ts'
import { networkServicesMethods } from '../../src/controller/methods/network-services.ts'
import { compile } from '../../src/snapshot/compile.ts'
import { issue } from '../../src/tls/test-certificates.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const ROOT_FILES = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'STYLE.md']
const FILES = [
  ...ROOT_FILES,
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md'))
    .map((path) => join('docs', path)),
]

function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8')
}

/** The fenced blocks of a document in one of some languages. */
function blocks(file: string, languages: readonly string[]): string[] {
  return [...read(file).matchAll(/^ *```(\w*)\n(.*?)^ *```$/gms)]
    .filter(([, language]) => languages.includes(language))
    .map(([, , text]) => text)
}

/** The words behind "truepeer" of each command line in shell blocks; quotes are taken off, continued lines joined. */
function commandLines(file: string): string[][] {
  const lines = blocks(file, ['sh', 'ini'])
    .flatMap((text) => text.replaceAll(/\\\n\s*/g, '').split('\n'))
    .map(
      (line) =>
        /(?:^|[ =/])truepeer ((?:edge|agent|controller|doctor|host-setup|status|drain|enable|verify|whoami)\b.*)$/.exec(
          line,
        )?.[1],
    )
  // What a shell does with the output is not the program's.
  const own = lines.filter((line) => line !== undefined).map((line) => line.replace(/\s*[>|].*$/, ''))
  return own.map((line) => line.replaceAll("'", '').split(/\s+/))
}

test('every relative link and every path of ours in the documents leads to a file', () => {
  const missing = FILES.flatMap((file) => {
    const text = read(file)
    const links = [...text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, target]) => target)
    const relative = links.filter((target) => !/^[a-z]+:/.test(target)).map((target) => join(dirname(file), target))
    const named = file.startsWith('docs/decisions/')
      ? []
      : [...text.matchAll(/`((?:src|test|tools|native|docs)\/[\w./-]+\.\w+)`/g)].map(([, path]) => path)
    return [...relative, ...named].filter((path) => !existsSync(join(ROOT, path))).map((path) => `${file}: ${path}`)
  })
  assert.deepEqual(missing, [])
})

test('what a document says to be in a file of ours is in that file', () => {
  const code = sources().filter((file) => file.endsWith('.ts'))
  const pages = FILES.filter((file) => !/^docs\/(decisions|reference)\//.test(file))
  const found = pages.flatMap((page) =>
    [...read(page).matchAll(/`(\w+)`\s+in\s+`([\w./-]+\.ts)`/g)].map(([, name, file]) => ({ page, name, file })),
  )
  assert.ok(found.length > 3, JSON.stringify(found))
  const wrong = found.filter(({ name, file }) => {
    const files = code.filter((path) => path === file || path.endsWith(`/${file}`))
    return files.length !== 1 || !new RegExp(`\\b${name}\\b`).test(read(files[0]))
  })
  assert.deepEqual(wrong, [])
})

test('every command line in the documents is one that the program takes', () => {
  // The files that they name are those of a host; what stands in those of the documents is another test's.
  const readConfig = (path: string) => parseAgentConfig(exampleAgentConfig(), path)
  const parsers: Readonly<Record<string, (words: readonly string[]) => unknown>> = {
    edge: parseEdge,
    agent: ([first, ...rest]) =>
      first === 'install' || first === 'uninstall'
        ? parseAgentInstall(first, rest, readConfig)
        : readAgent([first, ...rest], readConfig),
    controller: ([first, ...rest]) => {
      const parse = { backup: parseBackup, restore: parseRestore, token: parseToken }[first]
      return parse === undefined ? parseController([first, ...rest]) : parse(rest)
    },
    doctor: (words) => (words[0] === 'edge' ? parseEdgeDoctor(words.slice(1)) : parseDoctor(words, readConfig)),
    'host-setup': parseHostSetup,
    status: parseStatus,
    drain: (words) => parseSteer('drain', words),
    enable: (words) => parseSteer('enable', words),
    verify: parseVerify,
    whoami: parseWhoami,
  }
  let count = 0
  for (const file of FILES.filter((path) => !path.startsWith('docs/reference/'))) {
    for (const [command, ...words] of commandLines(file)) {
      count += 1
      assert.doesNotThrow(() => parsers[command](words), `${file}: truepeer ${[command, ...words].join(' ')}`)
    }
  }
  assert.ok(count > 15, `${count} command lines were found`)
})

/** What a field stands for in the examples, and what an edge can read in its place. */
const PLACEHOLDERS: Readonly<Record<string, () => string>> = {
  'PEM OF ROOTS': () => issue({ commonName: 'Root', isAuthority: true }).certificatePem,
}

/** A fragment of a backend service as a resource of its own, and texts in place of what stands for them. */
function completed(text: string): string {
  const whole = text.startsWith('protocol:') ? `kind: compute#backendService\nname: part\n${text}` : text
  return Object.entries(PLACEHOLDERS).reduce(
    (filled, [name, pem]) => filled.replace(name, () => pem().trim().replaceAll('\n', '\n    ')),
    whole,
  )
}

test('every example of a configuration in the documents is one that the agent or the edge takes', () => {
  const counts = { agent: 0, edge: 0 }
  for (const file of FILES) {
    for (const text of blocks(file, ['yaml', 'yml', ''])) {
      if (/^listeners:/m.test(text)) {
        counts.agent += 1
        assert.doesNotThrow(() => parseAgentConfig(text, file))
      } else if (/^regions:/m.test(text)) {
        const [document] = readYamlDocuments(text)
        assert.ok('value' in document && checkRegionFile(document.value).kind === 'regions', text)
      } else if (/compute#|^protocol:/m.test(text)) {
        counts.edge += 1
        const { resources, problems } = readResources(completed(text), file)
        assert.deepEqual(problems, [], text)
        if (!text.includes('forwardingRule')) continue
        const compiled = compile(resources, [])
        assert.ok('snapshot' in compiled, 'problems' in compiled ? JSON.stringify(compiled.problems) : '')
      } else {
        assert.ok(!blocks(file, ['yaml', 'yml']).includes(text), `neither an agent's nor an edge's: ${text}`)
      }
    }
  }
  assert.ok(counts.agent >= 3 && counts.edge >= 4, JSON.stringify(counts))
})

test('the page of the API has every method that a controller serves, and no other', () => {
  const served = new Map<string, string[]>()
  const add = (collection: string, action: string) => {
    served.set(collection, [...(served.get(collection) ?? []), action])
  }
  for (const { collection, action } of methods) add(collection, action)
  for (const { id, action } of networkServicesMethods) add(id.slice(0, -action.length - 1), action)
  const rows = [...read('docs/guides/api.md').matchAll(/^\| `([\w.]+)` +\| (`\w+`(?:, `\w+`)*) +\|$/gm)]
  const told = rows.map(([, collection, actions]) => [collection, actions.match(/\w+/g)?.sort()])
  assert.deepEqual(Object.fromEntries(told), Object.fromEntries([...served].map(([name, all]) => [name, all.sort()])))
})

test('lines of the guides and of the pages around them are no longer than 120 characters, but for tables', () => {
  const long = FILES.filter((file) => /^[A-Z]+\.md|^docs\/(guides\/|life-|threat-)/.test(file)).flatMap((file) =>
    read(file)
      .split('\n')
      .filter((line) => line.length > 120 && !/^(\||#)/.test(line))
      .map((line) => `${file}: ${line}`),
  )
  assert.deepEqual(long, [])
})

/** Every text file of ours that people write, by its path. */
function sources(): readonly string[] {
  const folders = ['src', 'test', 'tools', 'native', 'bench', 'docs']
  const below = folders.flatMap((folder) => {
    return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path))
  })
  return [...ROOT_FILES, ...below.filter((path) => /\.(ts|mjs|c|h|md)$/.test(path))]
}

/** The comments of a file of code, or all of a page. */
function prose(file: string): string {
  const text = read(file)
  if (file.endsWith('.md')) return text
  // From two slashes or a star at the beginning of a line, or behind a space, to its end: a URL is not a comment.
  return [...text.matchAll(/(?:^|\s)(?:\/\/|\/?\*).*$/gm)].map(([comment]) => comment).join('\n')
}

test('every decision, page and file of ours that a comment or a page cites exists', () => {
  const decisions = readdirSync(join(ROOT, 'docs/decisions'))
  const missing = sources().flatMap((file) => {
    // A decision tells what was so at its time.
    const isDecision = file.startsWith('docs/decisions/')
    const text = prose(file)
    const numbers = [...text.matchAll(/\bdecisions?[ /](\d{4})\b|\[(\d{4})\]\(/gi)].map(([, a, b]) => a ?? b)
    const paths = isDecision ? [] : [...text.matchAll(/(?<![\w./-])(?:src|test|tools|native|docs|bench)\/[\w./-]*\w/g)]
    const pages = isDecision ? [] : [...text.matchAll(/(?<![\w./-])[A-Z]+\.md\b/g)]
    return [
      ...numbers.filter((number) => !decisions.some((name) => name.startsWith(number))),
      ...[...paths, ...pages].map(([path]) => path).filter((path) => !isCited(path)),
    ].map((cited) => `${file}: ${cited}`)
  })
  assert.deepEqual(missing, [])
})

/** A file, a folder, or a decision by its number. */
function isCited(path: string): boolean {
  return existsSync(join(ROOT, path)) || /^docs\/decisions\/\d{4}$/.test(path)
}

test('nothing cites documents that are not of this repository: they have numbers such as D9 and B12', () => {
  const foreign = sources().flatMap((file) =>
    [...prose(file).matchAll(/\bdecision [A-Z]\d+|\((?:[BD]\d{1,2})\)|\bpitfall\b|\b(?!docs\/)security\.md\b/gi)].map(
      ([cited]) => `${file}: ${cited}`,
    ),
  )
  assert.deepEqual(foreign, [])
})

test('the examples of alerts name metrics, labels and values that there are', () => {
  const reference = read('docs/reference/metrics.md')
  const { groups } = parse(read('docs/examples/alerts.yaml')) as {
    readonly groups: readonly { readonly rules: readonly { readonly expr: string; readonly annotations: object }[] }[]
  }
  const rules = groups.flatMap((group) => group.rules)
  assert.ok(rules.length > 5)
  for (const { expr, annotations } of rules) {
    const [, name, label, text] = /(truepeer_\w+)(?:\{(\w+)=~?"([^"]+)"\})?/.exec(expr) ?? []
    for (const [metric] of expr.matchAll(/truepeer_\w+/g)) assert.ok(reference.includes(`## \`${metric}\``), expr)
    const section = reference.slice(reference.indexOf(`## \`${name}\``)).split('\n## ', 1)[0]
    const words = [label, ...(text?.split('|') ?? [])].filter((word) => word !== undefined)
    const labels = [...JSON.stringify(annotations).matchAll(/\$labels\.(\w+)/g)].map(([, word]) => word)
    for (const word of [...words, ...labels.filter((one) => one !== 'instance')]) {
      assert.ok(section.includes(`\`${word}\``), `${expr}: ${word}`)
    }
  }
})
