import { SYSTEM_PATH } from '../system-path.ts'
import { withoutPowers } from '../without-powers.ts'

/**
 * What runs inside new mount, PID, UTS and IPC namespaces, in the network namespace of a machine, until the machine has
 * its files: the directory of the machine, its name, the script of its first process, the skeleton or nothing, then pairs
 * of what it shares with the lab and where it has that, `--`, and pairs of where it has a link and what that leads to. It
 * becomes the first process of the machine, which prints its PID, as the lab sees it.
 *
 * Each directory below `/` is an overlay over that of this machine, so that what is written stays inside. In a user
 * namespace a skeleton is between them (skeleton.ts).
 */
export const SET_UP_SCRIPT = `
set -e
umask 022
directory=$1 name=$2 init=$3 skeleton=$4
shift 4
# This /proc is still the one outside.
read -r pid _ </proc/self/stat
cd "$directory"
read_only() {
  # In a user namespace a mount keeps the restrictions that it has outside, and they have to be named.
  for restrictions in '' ,nosuid,nodev ,nosuid,nodev,noexec; do
    ! mount -o "remount,bind,ro$restrictions" "$1" 2>/dev/null || break
  done
}
if [ -d root ]; then isNew=false; else isNew=true; mkdir root; fi
mount --bind root root
# Nobody opens a device of this machine that he has made there.
mount -o remount,bind,nodev root
cd root
mkdir -p proc sys dev run mnt media home
[ -d root ] || mkdir -m 700 root
[ -d tmp ] || { mkdir tmp; chmod 1777 tmp; }
for top in /*; do
  own=\${top#/}
  case $own in
    # Those that a machine has for itself, and names that the options of a mount cannot hold.
    proc | sys | dev | run | tmp | root | home | mnt | media | lost+found | *[:,\\\\]*) continue ;;
  esac
  if [ -L "$top" ]; then
    [ -L "$own" ] || cp -P "$top" "$own"
  elif [ -d "$top" ]; then
    layers=$directory/layers/$own lower=$top options=nodev
    mkdir -p "$own" "$layers/upper" "$layers/work"
    if [ -n "$skeleton" ]; then
      options=nodev,userxattr
      [ ! -d "$skeleton/$own" ] || lower=$skeleton/$own:$top
      # All of it was copied.
      [ "$own" != etc ] || lower=$skeleton/etc
    fi
    if ! mount -t overlay -o "$options,lowerdir=$lower,upperdir=$layers/upper,workdir=$layers/work" overlay "$own" 2>"$directory/errors"
    then
      # A directory with mounts below it cannot be under an overlay of a user namespace.
      [ -n "$skeleton" ] || { cat "$directory/errors" >&2; exit 1; }
      mount --rbind "$top" "$own"
    elif $isNew && [ -s "$skeleton/hidden-$own" ]; then
      (cd "$own" && xargs -0 -n 1 mkdir -p -m 700 <"$skeleton/hidden-$own")
    fi
  fi
done

mount -t proc -o nosuid,nodev,noexec proc proc
# Settings of the network are the machine's own, all others are everybody's.
mount --bind proc/sys proc/sys
mount --bind proc/sys/net proc/sys/net
mount -o remount,bind,ro proc/sys
# By this one the machine underneath would restart, or worse.
[ ! -e proc/sysrq-trigger ] || { mount --bind /dev/null proc/sysrq-trigger; read_only proc/sysrq-trigger; }
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys 2>/dev/null || mount --rbind /sys sys
if [ -e sys/class/dmi/id/product_name ]; then
  # By this Google's guest software knows where it is.
  echo 'Google Compute Engine' >"$directory/product_name"
  mount --bind "$directory/product_name" sys/class/dmi/id/product_name
fi
mount -t tmpfs -o mode=755,nosuid,nodev run run
mkdir -m 1777 run/lock
mount -t tmpfs -o mode=755,nosuid,nodev dev dev
mkdir dev/net
for device in null zero full random urandom tty net/tun fuse; do
  [ -c "/dev/$device" ] || continue
  : >"dev/$device"
  mount --bind "/dev/$device" "dev/$device"
  # It is this machine's: its mode and owner are everybody's.
  read_only "dev/$device"
done
mkdir dev/pts
mkdir -m 1777 dev/shm
terminals=newinstance,ptmxmode=0666,mode=0620
# The group of terminals is not in every user namespace.
mount -t devpts -o "$terminals,gid=5" devpts dev/pts 2>/dev/null || mount -t devpts -o "$terminals" devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
for console in console ttyS0; do
  : >"dev/$console"
  mount --bind "$directory/serial" "dev/$console"
done
# What is shared waits in the machine's /run, by its number.
mkdir run/shared
number=0 from=''
for path; do
  [ "$path" != -- ] || break
  if [ -z "$from" ]; then
    from=$path
    continue
  fi
  number=$((number + 1))
  if [ -d "$from" ]; then mkdir "run/shared/$number"; else : >"run/shared/$number"; fi
  mount --rbind "$from" "run/shared/$number"
  read_only "run/shared/$number"
  from=''
done

hostname "$name"
ip link set lo up
if $isNew; then
  rm -f etc/hostname etc/hosts etc/resolv.conf etc/machine-id etc/ssh/ssh_host_*
  echo "$name" >etc/hostname
  echo "127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback" >etc/hosts
  # Without a server of names, nobody waits for one.
  : >etc/resolv.conf
  tr -d - </proc/sys/kernel/random/uuid >etc/machine-id
  [ ! -d etc/skel ] || cp -R etc/skel/. root
fi

mkdir run/outside
pivot_root . run/outside
cd /
umount -l /run/outside
rmdir /run/outside

# From here on paths lead to nothing but the machine's own files, whatever links it has put there before a new start.
number=0
while [ "$1" != -- ]; do
  number=$((number + 1))
  if [ -d "/run/shared/$number" ]; then
    mkdir -p "$2"
  elif [ ! -e "$2" ]; then
    mkdir -p "\${2%/*}"
    : >"$2"
  fi
  mount --move "/run/shared/$number" "$2"
  shift 2
done
shift
rm -r /run/shared
while [ $# -gt 0 ]; do
  ln -sfn "$2" "$1"
  shift 2
done
if [ ! -e /sys/class/dmi/id/product_name ] && [ ! -e /usr/local/sbin/dmidecode ]; then
  # Where the kernel knows nothing of the hardware, Google's guest software asks this program.
  mkdir -p /usr/local/sbin
  printf '%s\\n' '#!/bin/sh' '[ "$2" != system-product-name ] || echo Google Compute Engine' >/usr/local/sbin/dmidecode
  chmod 755 /usr/local/sbin/dmidecode
fi
exec ${withoutPowers.join(' ')} env -i PATH=${SYSTEM_PATH} HOME=/root sh -c "$init" init "$name" "$pid"
`

/**
 * The first process of a machine: it reaps what others leave behind, as shells do. SIGTERM tells it to end the machine: it
 * gives all others five seconds, and with its own end the kernel kills who is left.
 */
export const INIT_SCRIPT = `
trap 'isStopping=true' TERM
echo "$2"
exec </dev/null >/dev/console 2>&1
echo "$1 has started"
while [ -z "$isStopping" ]; do
  sleep 2147483647 &
  wait $!
done
echo "$1 is stopping"
kill -TERM -1
tries=0
while [ $tries -lt 50 ]; do
  sleep 0.1
  set -- "$1" /proc/[0-9]*
  [ $# -gt 2 ] || break
  tries=$((tries + 1))
done
exit 0
`
