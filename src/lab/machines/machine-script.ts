/**
 * What runs inside new mount, PID, UTS and IPC namespaces, in the network namespace of a machine, until the machine has
 * its files: the directory of the machine, its name, then pairs of what it shares with the lab and where it has that.
 * Prints the PID of the machine's first process, as the lab sees it, and becomes that.
 *
 * Each directory below `/` is an overlay of the machine that all of this runs on, so that what is written stays inside.
 */
export const SET_UP_SCRIPT = `
set -e
umask 022
directory=$1 name=$2 init=$3
shift 3
# This /proc is still the one outside.
read -r pid _ </proc/self/stat
cd "$directory"
if [ -d root ]; then isNew=false; else isNew=true; mkdir root; fi
mount --bind root root
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
    layers=$directory/layers/$own
    mkdir -p "$own" "$layers/upper" "$layers/work"
    mount -t overlay -o "nodev,lowerdir=$top,upperdir=$layers/upper,workdir=$layers/work" overlay "$own"
  fi
done

mount -t proc -o nosuid,nodev,noexec proc proc
# Settings of the network are the machine's own, all others are everybody's.
mount --bind proc/sys proc/sys
mount --bind proc/sys/net proc/sys/net
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
if [ -e sys/class/dmi/id/product_name ]; then
  # By this Google's guest software knows where it is.
  echo 'Google Compute Engine' >"$directory/product_name"
  mount --bind "$directory/product_name" sys/class/dmi/id/product_name
fi
mount -t tmpfs -o mode=755,nosuid,nodev run run
mkdir -m 1777 run/lock
mount -t tmpfs -o mode=755,nosuid dev dev
mkdir dev/net
for device in null zero full random urandom tty net/tun fuse; do
  [ -c "/dev/$device" ] || continue
  : >"dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts
mkdir -m 1777 dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
for console in console ttyS0; do
  : >"dev/$console"
  mount --bind "$directory/serial" "dev/$console"
done
while [ $# -gt 0 ]; do
  if [ -d "$1" ]; then
    mkdir -p ".$2"
  elif [ ! -e ".$2" ]; then
    mkdir -p ".\${2%/*}"
    : >".$2"
  fi
  mount --rbind "$1" ".$2"
  mount -o remount,bind,ro ".$2"
  shift 2
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
echo "$pid"
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root sh -c "$init" init "$name"
`

/**
 * The first process of a machine: it reaps what others leave behind, as shells do. SIGTERM tells it to end the machine: it
 * gives all others five seconds, and with its own end the kernel kills who is left.
 */
export const INIT_SCRIPT = `
exec </dev/null >/dev/console 2>&1
trap 'isStopping=true' TERM
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
