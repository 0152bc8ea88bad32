/**
 * Holds the imports of src/ to the table of floors (tools/floors.mjs), and ARCHITECTURE.md to what the table says.
 *
 *   node tools/check-floors.mjs [--write] [--root FOLDER]
 *
 * Each import, also one of a type, must be one that the table allows; no two files may import each other, on whatever
 * way. `--write` puts table and picture into ARCHITECTURE.md. Tests and their helpers (`*.test.ts`, `test-*.ts`) may
 * import what they test. `--root` checks another tree.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, posix } from 'node:path'
import { reservedModules, rooms } from './floors.mjs'
import { repositoryRoot, stopWithMessage } from './program.mjs'

/** The three forms of an import: with names, for its effects alone, and in the middle of the code. */
const IMPORT = /^(?:import|export)\s[^'"=()]*\bfrom '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm
const LINE_LENGTH = 120
const REMEDY = 'move the code to where both may see it, or change the table in tools/floors.mjs and say why'

const rootAt = process.argv.indexOf('--root')
const root = rootAt < 0 ? repositoryRoot : process.argv[rootAt + 1]
const source = join(root, 'src')
const roomOf = new Map(rooms.map((room) => [room.folder, room]))
/** What each file imports, both relative to src/. */
const imports = readImports()
/** @type {string[]} */
const problems = [...tableProblems(), ...importProblems(), ...circles()]
if (rootAt < 0) problems.push(...pageProblems())
for (const problem of problems) console.error(problem)
if (problems.length > 0) stopWithMessage(`\n${problems.length} problems with the floors; ${REMEDY}`)

/** @returns {Map<string, readonly string[]>} */
function readImports() {
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
  const ours = files.filter((file) => file.endsWith('.ts') && !/\.test\.ts$/.test(file) && !isHelper(file)).sort()
  return new Map(
    ours.map((file) => {
      const found = readFileSync(join(source, file), 'utf8').matchAll(IMPORT)
      return [
        file,
        [...found]
          .map(([, a, b, c]) => a ?? b ?? c)
          .map((name) => (name.startsWith('.') ? posix.join(dirname(file), name) : name)),
      ]
    }),
  )
}

/** @param {string} file */
function isHelper(file) {
  return basename(file).startsWith('test-')
}

/** A folder that is named twice, before what it imports, below its floor, or that holds nothing; a name that nobody uses. */
function tableProblems() {
  const found = []
  const below = new Set()
  let highest = 0
  const folders = new Set([...imports.keys()].map((file) => dirname(file)))
  for (const { floor, folder, mayImport, packages = [] } of rooms) {
    if (floor < highest)
      found.push(`tools/floors.mjs: "${folder}" is on floor ${floor}, below a row of floor ${highest}`)
    highest = Math.max(highest, floor)
    if (below.has(folder)) found.push(`tools/floors.mjs: "${folder}" has two rows; keep one`)
    for (const name of mayImport) {
      if (below.has(name.endsWith('.ts') ? dirname(name) : name)) continue
      found.push(`tools/floors.mjs: "${folder}" may import "${name}", which has no row above it: that arrow goes up`)
    }
    if (rootAt < 0 && !folders.has(folder)) found.push(`tools/floors.mjs: src/${folder} does not exist; remove its row`)
    const unused = rootAt < 0 ? [...mayImport, ...packages].filter((name) => !isUsed(folder, name)) : []
    found.push(...unused.map((name) => `tools/floors.mjs: "${folder}" may import "${name}" and does not: take it out`))
    below.add(folder)
  }
  return found
}

/**
 * @param {string} folder
 * @param {string} allowed a folder, file or package
 */
function isUsed(folder, allowed) {
  const names = [...imports].filter(([file]) => dirname(file) === folder).flatMap(([, list]) => list)
  return names.some((name) => {
    if (imports.has(name)) return name === allowed || dirname(name) === allowed
    return (name in reservedModules ? name : packageOf(name)) === allowed
  })
}

function importProblems() {
  return [...imports].flatMap(([file, names]) => {
    const room = roomOf.get(dirname(file))
    if (room === undefined) return [`src/${file}: its folder has no row in tools/floors.mjs; give it one`]
    return names.flatMap((name) => {
      if (!isAllowed(room, name)) return [`src/${file} imports ${name}: ${reservedModules[name] ?? room.because}`]
      const door = room.doors?.[name]
      if (door === undefined || door === basename(file)) return []
      return [`src/${file} imports ${name}: in its folder that is for ${door ?? 'no file'}${door ? ' alone' : ''}`]
    })
  })
}

/**
 * @param {import('./floors.mjs').Room} room
 * @param {string} name of a package, or of a file relative to src/
 */
function isAllowed(room, name) {
  if (!imports.has(name)) return (room.packages ?? []).includes(name in reservedModules ? name : packageOf(name))
  return dirname(name) === room.folder || room.mayImport.includes(dirname(name)) || room.mayImport.includes(name)
}

/** @param {string} name */
function packageOf(name) {
  return name.startsWith('node:') ? 'node' : name.split('/', name.startsWith('@') ? 2 : 1).join('/')
}

/** Every way that leads back to where it began, each once. */
function circles() {
  /** @type {string[]} */
  const found = []
  /** @type {Map<string, 'open' | 'done'>} */
  const states = new Map()
  /** @type {string[]} */
  const way = []
  /** @param {string} file */
  const visit = (file) => {
    states.set(file, 'open')
    way.push(file)
    for (const next of imports.get(file) ?? []) {
      if (states.get(next) === 'open') {
        found.push(`a circle of imports: ${[...way.slice(way.indexOf(next)), next].join(' > ')}`)
      } else if (imports.has(next) && !states.has(next)) visit(next)
    }
    way.pop()
    states.set(file, 'done')
  }
  for (const file of imports.keys()) if (!states.has(file)) visit(file)
  return found
}

/** Compares ARCHITECTURE.md with the table, or writes it. */
function pageProblems() {
  const path = join(root, 'ARCHITECTURE.md')
  const page = readFileSync(path, 'utf8')
  const wanted = withPart(withPart(page, 'floors', floorsTable()), 'picture', picture())
  if (page === wanted) return []
  if (!process.argv.includes('--write')) return ['ARCHITECTURE.md is stale: "npm run docs" writes its table of floors']
  writeFileSync(path, wanted)
  return []
}

/**
 * @param {string} page
 * @param {string} name
 * @param {string} part
 */
function withPart(page, name, part) {
  const marks = new RegExp(`(<!-- ${name}: from tools/floors.mjs -->\n)[^]*?(<!-- end of ${name} -->)`)
  if (!marks.test(page)) stopWithMessage(`ARCHITECTURE.md has no place for ${name}: put back its two comments`)
  return page.replace(marks, (_, start, end) => `${start}\n${part}\n\n${end}`)
}

function floorsTable() {
  const floors = [...new Set(rooms.map(({ floor }) => floor))]
  return floors.map((floor) => [`Floor ${floor}`, '', ...entriesOf(floor)].join('\n')).join('\n\n')
}

/** @param {number} wanted */
function entriesOf(wanted) {
  const onFloor = rooms.filter(({ floor }) => floor === wanted)
  return onFloor.flatMap(({ folder, holds, mayImport, packages = [], doors = {}, because }) => {
    const modules = packages.filter((name) => name !== 'node').map((name) => `\`${name}\``)
    const own = [...mayImport, ...modules].join(', ')
    const only = Object.entries(doors).map(
      ([name, door]) => ` ${door === null ? 'Nothing' : `Only \`${door}\``} imports ${name}.`,
    )
    const bounds = `May import ${own === '' ? 'nothing' : own}: ${because}.${only.join('')}`
    return wrapped(`- **\`src/${folder}/\`** ${holds}. ${bounds}`, 2)
  })
}

/** What really imports what, drawn: each folder with an arrow to those below it that its files name. */
function picture() {
  const lines = []
  let floor = -1
  for (const room of [...rooms].reverse()) {
    if (room.floor !== floor) lines.push(...(floor < 0 ? [] : ['']), `floor ${room.floor}`)
    floor = room.floor
    const used = rooms.filter(({ folder }) => folder !== room.folder && usesOf(room.folder).has(folder)).reverse()
    const text = used.map(({ folder }) => folder).join(' ')
    lines.push(`  ${room.folder.padEnd(21)}${used.length === 0 ? '' : `-> ${text}`}`.trimEnd())
  }
  return ['```', ...lines.flatMap((line) => wrapped(line, 25)), '```'].join('\n')
}

/** @param {string} folder */
function usesOf(folder) {
  const files = [...imports].filter(([file]) => dirname(file) === folder)
  return new Set(files.flatMap(([, names]) => names.filter((name) => imports.has(name)).map((name) => dirname(name))))
}

/**
 * Breaks a line at spaces; what follows the first one is indented by so many.
 *
 * @param {string} line
 * @param {number} indent
 */
function wrapped(line, indent) {
  const lines = []
  let rest = line
  while (rest.length > LINE_LENGTH) {
    const at = rest.lastIndexOf(' ', LINE_LENGTH)
    lines.push(rest.slice(0, at))
    rest = `${' '.repeat(indent)}${rest.slice(at + 1)}`
  }
  return [...lines, rest]
}
