import { type Cidr, parseCidr } from '../address/cidr.ts'
import { readTextFile } from '../linux/text-file.ts'
import { messageOf } from '../text/error-message.ts'
import { foreignFormat } from '../text/foreign-format.ts'

/** Bad lines that a message names; the others are counted. */
const PROBLEMS_NAMED_MAX = 10

/** A list of trusted edges that cannot be used; the message names the file, the line and the remedy. */
export class AllowedSubnetsError extends Error {
  override readonly name = 'AllowedSubnetsError'
}

/**
 * Reads the subnets of the edges that an agent trusts: one per line, `#` starts a comment, blank lines are ignored.
 *
 * Fails closed: a list that is missing, empty or wrong in any line is an error, never "everyone".
 *
 * @throws AllowedSubnetsError
 */
export function readAllowedSubnets(path: string): Cidr[] {
  return parseAllowedSubnets(readText(path), path)
}

/** Parses the text of such a file; `path` is for messages. @throws AllowedSubnetsError */
export function parseAllowedSubnets(text: string, path: string): Cidr[] {
  const foreign = foreignFormat(text)
  if (foreign !== undefined) {
    // Its lines are not shown: they may be those of a private key.
    throw new AllowedSubnetsError(
      `"${path}" is ${foreign.what}, and not a list of subnets; give a file with one subnet per line`,
    )
  }
  const subnets: Cidr[] = []
  const problems: string[] = []
  for (const [index, line] of text.split('\n').entries()) {
    const entry = line.replace(/#.*/s, '').trim()
    if (entry === '') continue
    const subnet = parseCidr(entry)
    if (subnet === undefined) problems.push(`${path}:${index + 1}: ${JSON.stringify(entry.slice(0, 80))}`)
    else subnets.push(subnet)
  }
  if (problems.length > 0) {
    const more = problems.length > PROBLEMS_NAMED_MAX ? ` and ${problems.length - PROBLEMS_NAMED_MAX} more` : ''
    const named = problems.slice(0, PROBLEMS_NAMED_MAX).join(', ')
    throw new AllowedSubnetsError(
      `Not a subnet: ${named}${more}; write one per line, such as "35.191.0.0/16" or "2001:db8::/32"`,
    )
  }
  if (subnets.length === 0) {
    throw new AllowedSubnetsError(
      `"${path}" contains no subnet; write the edges' subnets into it, or give --allow-all-subnets to trust everyone`,
    )
  }
  return subnets
}

function readText(path: string): string {
  try {
    return readTextFile(path)
  } catch (cause) {
    // "EISDIR: illegal operation on a directory, read": what comes behind the comma names the file only sometimes.
    const reason = messageOf(cause).replace(/,.*/s, '')
    if (reason.startsWith('ENOENT') && parseCidr(path) !== undefined) {
      throw new AllowedSubnetsError(`"${path}" is a subnet; give a file that has subnets, one per line`, { cause })
    }
    throw new AllowedSubnetsError(
      `The allowed subnets in ${JSON.stringify(path)} cannot be read (${reason}); give a readable file`,
      { cause },
    )
  }
}
