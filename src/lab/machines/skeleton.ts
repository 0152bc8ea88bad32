import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { runChecked } from '../../linux/run.ts'

/** A long time on a slow disk; what is looked at is names only. */
const MAKE_MS_MAX = 120_000
/** The map of the first user namespace: everybody is there as who he is. */
const EVERYBODY = /^\s*0\s+0\s+4294967295\s*$/

/**
 * What root of a user namespace may write of this machine's directories, one directory for each. Owners of this machine's
 * files are nobody there, and nobody can write to a directory of theirs or replace a file in place: so all directories
 * are made again, and those files are copied that programs change where they are. Directories that cannot be read are
 * hidden, and become empty ones.
 */
const SCRIPT = `
set -e
umask 022
cd "$1"
mkdir -p usr var opt srv
for own in usr var opt srv; do
  [ -d "/$own" ] || continue
  (
    cd "/$own"
    # Programs that change the user become those of this root.
    find . -xdev -mindepth 1 \\
      -type d \\( -readable -executable -print0 -o -fprint0 "$1/hidden-$own" -prune \\) -o \\
      -type f -perm -4000 -readable -fprint0 "$1/setuid" 2>/dev/null
  ) >"$1/seen" || true
  (
    cd "$own"
    xargs -0 -r mkdir -p <"$1/seen"
    xargs -0 -r -n 1 sh -c 'mkdir -p "\${1%/*}" && mknod "$1" c 0 0' sh <"$1/hidden-$own"
    cd "/$own"
    xargs -0 -r cp --preserve=mode --parents -t "$1/$own" <"$1/setuid"
  )
done
chmod 1777 var/tmp 2>/dev/null || true
# Who owned a directory cannot be seen from here; this one is not root's, and dpkg(1) has it written to.
[ ! -d var/cache/man ] || find var/cache/man -type d -exec touch '{}/CACHEDIR.TAG' ';'
chown -R man var/cache/man 2>/dev/null || true

# What cannot be read begins empty, and so do logs.
for place in /var/lib/dpkg /var/lib/dpkg/triggers /var/lib/dpkg/alternatives /var/lib/apt /var/cache/debconf \\
  /var/log /var/log/apt; do
  [ -d ".$place" ] || continue
  find "$place" -xdev -maxdepth 1 -type f | while read -r file; do
    case $place in
      /var/log*) : ;;
      *) ! [ -r "$file" ] || ! cp -p "$file" ".$file" || continue ;;
    esac
    : >".$file"
  done
done
for lock in lib/apt/lists cache/apt/archives; do
  [ ! -d "var/$lock" ] || : >"var/$lock/lock"
done
mkdir etc
cp -R -P --preserve=mode,links /etc/. etc 2>/dev/null || true
# Nobody can log in with a password.
[ -r etc/shadow ] || sed 's/:.*/:*:19000:0:99999:7:::/' etc/passwd >etc/shadow
[ -r etc/gshadow ] || sed 's/:.*/:*::/' etc/group >etc/gshadow
chmod 600 etc/shadow etc/gshadow
touch whole
`

/**
 * Makes in `directory` what machines need to be able to write to their files as an ordinary user's; a second time it is
 * there. Returns its path; undefined: this is not a user namespace, nothing is needed.
 */
export async function makeSkeleton(directory: string): Promise<string | undefined> {
  if (EVERYBODY.test(readFileSync('/proc/self/uid_map', 'utf8'))) return undefined
  if (existsSync(`${directory}/whole`)) return directory
  mkdirSync(directory, { recursive: true })
  await runChecked('sh', ['-c', SCRIPT, 'skeleton', directory], { timeoutMs: MAKE_MS_MAX })
  return directory
}
