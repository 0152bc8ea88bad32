import { GOOGLE_REGIONS, type Position } from '../balancing/google-regions.ts'
import { checkRegionFile } from '../balancing/own-regions.ts'
import type { EdgeCommand } from '../cli/edge.ts'
import type { Problem } from '../compute/problem.ts'
import type { EdgePlace } from '../edge/backends/region-distances.ts'
import { ConfigurationError } from '../edge/frontends/configuration-error.ts'
import { readNamedFile } from './named-file.ts'

/** Where an edge is, and where regions are. @throws UsageError, ConfigurationError */
export async function edgePlace({ localRegion, localZone, proximity, regionFile }: EdgeCommand): Promise<EdgePlace> {
  const positions = regionFile === undefined ? GOOGLE_REGIONS : await readPositions(regionFile)
  return { region: localRegion, zone: localZone, proximity, positions }
}

/** Reads a file of regions as it is now. @throws UsageError, ConfigurationError */
export async function readPositions(path: string): Promise<ReadonlyMap<string, Position>> {
  const { text } = readNamedFile('--regions', path)
  // Only here: most edges have no such file, and need no YAML.
  const { readYamlDocuments } = await import('../compute/yaml-documents.ts')
  const [document = { value: undefined }, more] = readYamlDocuments(text)
  const refuse = (problems: readonly Pick<Problem, 'path' | 'rule' | 'remedy'>[]): never => {
    throw new ConfigurationError(problems.map((one) => ({ source: path, resource: '', code: 'invalid', ...one })))
  }
  if ('errors' in document) return refuse(document.errors.map((error) => ({ path: '', ...error })))
  if (more !== undefined) {
    return refuse([{ path: '', rule: 'there are several documents', remedy: 'write one, with all regions' }])
  }
  const checked = checkRegionFile(document.value)
  return checked.kind === 'regions' ? checked.positions : refuse(checked.problems)
}
