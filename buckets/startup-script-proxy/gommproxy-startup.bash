#!/bin/bash
# Makes this host a backend of a TCP or SSL proxy load balancer whose app sees the clients' own addresses.
#
#   gommproxy-startup.bash [apply]   set everything up and start it; may be run again at any time, and at each boot
#   gommproxy-startup.bash undo      stop it and take everything away again, except packages
#
# It sets up the routing for IPv4 and IPv6, the list of the load balancer's address ranges, the agent on port 110, iperf3
# as the app on port 112, and a log of new connections, /var/log/inbound-tcp.log, without health checks. The agent is
# `truepeer`, which has to be on this host. Debian, Ubuntu, and relatives of RHEL, with systemd or without it.
#
# Environment: PORT (110), APP_PORT (112), APP (iperf3; none: the app is yours), TRUEPEER (the path of the program).

set -euo pipefail
export PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin:/opt/truepeer/bin

PORT=${PORT:-110}
APP_PORT=${APP_PORT:-112}
APP=${APP:-iperf3}
# From where Google's proxies and health checks connect; the last one is for instances that they reach by IPv6.
RANGES4=(35.191.0.0/16 130.211.0.0/22)
RANGES6=(2600:2d00:1:b029::/64)

RANGES_FILE=/etc/truepeer/gcp-tcp-proxy-ip-range
LOG=/var/log/inbound-tcp.log
LOG_PREFIX=INBOUND_TCP:
# For NFLOG, where the kernel's own log is out of reach.
LOG_GROUP=110
ULOGD_CONFIG=/etc/truepeer/inbound-tcp.ulogd.conf
RSYSLOG_CONFIG=/etc/rsyslog.d/10-inbound-tcp.conf
LOGROTATE_CONFIG=/etc/logrotate.d/inbound-tcp
RUN=/run/gommproxy
AGENT_UNIT=truepeer-agent
APP_UNIT=gommproxy-app

say() { echo "gommproxy-startup: $*"; }

fail() {
  say "$*" >&2
  exit 1
}

has() { command -v "$1" >/dev/null; }

has_systemd() { [ -d /run/systemd/system ]; }

# In a PID namespace other than the first one, as in a container, the kernel does not write LOG rules of a network
# namespace to its log, and nobody here could read that.
has_kernel_log() { [ "$(readlink /proc/self/ns/pid)" = 'pid:[4026531836]' ]; }

# need PROGRAM PACKAGE: installs what is missing. The packages have the same names everywhere.
need() {
  has "$1" && return
  say "installing $2"
  if has apt-get; then
    apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "$2"
  elif has dnf; then
    dnf --quiet --assumeyes install "$2"
  elif has yum; then
    yum --quiet --assumeyes install "$2"
  fi >/dev/null
  has "$1" || fail "\"$1\" is missing and could not be installed; install the package $2, then run this again"
}

find_truepeer() {
  TRUEPEER=${TRUEPEER:-$(command -v truepeer || true)}
  [ -n "$TRUEPEER" ] || fail 'there is no "truepeer" on this host: install Node.js 20.20 or later, unpack truepeer to' \
    '/opt/truepeer, run "npm ci && npm run build" there, then run this again'
  "$TRUEPEER" --version >/dev/null || fail "\"$TRUEPEER\" does not run; what it says is above"
}

# Where there is no systemd, a shell keeps each program running. It holds a lock on the file with its PID.

is_kept() { [ -e "$RUN/$1.pid" ] && ! flock --nonblock "$RUN/$1.pid" true; }

# keep NAME COMMAND...: starts it, or again if the command is another one than before.
keep() {
  local name=$1
  shift
  mkdir -p "$RUN"
  if is_kept "$name" && [ "$(cat "$RUN/$name.command")" = "$*" ]; then
    return
  fi
  drop "$name"
  echo "$*" >"$RUN/$name.command"
  # A script is over for whoever reads its output when nobody writes there any more.
  # shellcheck disable=SC2016
  setsid bash -c '
    exec 9>"$1.pid" && flock --nonblock 9 || exit
    echo $$ >"$1.pid"
    shift
    until "$@" 9>&-; [ $? -eq 2 ]; do sleep 1; done
  ' keep "$RUN/$name" "$@" </dev/null >>"/var/log/gommproxy-$name.log" 2>&1 &
}

drop() {
  local pid
  is_kept "$1" || return 0
  pid=$(cat "$RUN/$1.pid")
  # The shell and what it has started.
  kill -TERM -- "-$pid" 2>/dev/null || true
  flock --timeout 10 "$RUN/$1.pid" true || kill -KILL -- "-$pid" 2>/dev/null || true
}

write_ranges() {
  mkdir -p "${RANGES_FILE%/*}"
  printf '%s\n' "${RANGES4[@]}" "${RANGES6[@]}" >"$RANGES_FILE"
}

start_agent() {
  local flags=(-l "0.0.0.0:$PORT" -4 "127.0.0.1:$APP_PORT" -6 "[::1]:$APP_PORT" --allowed-subnets "$RANGES_FILE")
  if has_systemd; then
    "$TRUEPEER" agent install --name "$AGENT_UNIT" "${flags[@]}"
    systemctl daemon-reload
    systemctl enable --quiet --now "$AGENT_UNIT-setup.service" "$AGENT_UNIT.service"
  else
    "$TRUEPEER" host-setup apply
    keep agent "$TRUEPEER" agent "${flags[@]}"
  fi
}

start_app() {
  [ "$APP" = iperf3 ] || return 0
  need iperf3 iperf3
  if ! has_systemd; then
    keep iperf3 iperf3 --server --port "$APP_PORT" --forceflush
  elif ! systemctl --quiet is-active "$APP_UNIT.service"; then
    systemd-run --quiet --unit="$APP_UNIT" --property=Restart=always --property=DynamicUser=yes \
      --property=AmbientCapabilities=CAP_NET_BIND_SERVICE iperf3 --server --port "$APP_PORT" --forceflush
  fi
}

listed() { printf '%s, ' "$@"; }

# A new connection of a client to the app begins with a SYN from the client's address, on the loopback interface. What
# comes from the load balancer itself is a health check, and what comes from this host is the agent that looks for the app.
log_rules() {
  # ulogd puts a space behind it, the kernel does not.
  local statement="log prefix \"$LOG_PREFIX \""
  has_kernel_log || statement="log prefix \"$LOG_PREFIX\" group $LOG_GROUP"
  # The second line is there in case of a table of an earlier run.
  cat <<END
table inet gommproxy
delete table inet gommproxy
table inet gommproxy {
  chain input {
    type filter hook input priority 0
    tcp dport $APP_PORT tcp flags & (syn | ack) == syn ip saddr != { $(listed "${RANGES4[@]}") 127.0.0.0/8 } $statement
    tcp dport $APP_PORT tcp flags & (syn | ack) == syn ip6 saddr != { $(listed "${RANGES6[@]}") ::1 } $statement
  }
}
END
}

start_log() {
  need nft nftables
  if has_kernel_log; then
    follow_kernel_log
  else
    need ulogd ulogd2
    follow_nflog
  fi
  log_rules | nft -f -
  if [ -d "${LOGROTATE_CONFIG%/*}" ]; then
    printf '%s {\n  weekly\n  rotate 4\n  compress\n  missingok\n  notifempty\n  copytruncate\n}\n' "$LOG" >"$LOGROTATE_CONFIG"
  fi
}

follow_kernel_log() {
  if [ ! -d "${RSYSLOG_CONFIG%/*}" ]; then
    say "rsyslog is not installed: the log of new connections is \"journalctl --dmesg --grep INBOUND_TCP\""
    return
  fi
  printf ':msg, contains, "%s" %s\n& stop\n' "$LOG_PREFIX" "$LOG" >"$RSYSLOG_CONFIG.new"
  if cmp --quiet "$RSYSLOG_CONFIG.new" "$RSYSLOG_CONFIG"; then
    rm "$RSYSLOG_CONFIG.new"
  else
    mv "$RSYSLOG_CONFIG.new" "$RSYSLOG_CONFIG"
    restart_rsyslog
  fi
}

restart_rsyslog() {
  if has_systemd; then systemctl try-restart rsyslog.service; else service rsyslog restart; fi
}

follow_nflog() {
  cat >"$ULOGD_CONFIG" <<END
[global]
logfile="stdout"
stack=log1:NFLOG,base1:BASE,ifi1:IFINDEX,ip2str1:IP2STR,print1:PRINTPKT,emu1:LOGEMU

[log1]
group=$LOG_GROUP

[emu1]
file="$LOG"
sync=1
END
  keep ulogd ulogd --configfile "$ULOGD_CONFIG"
}

apply() {
  find_truepeer
  write_ranges
  start_agent
  start_app
  start_log
  say "port $PORT of this host takes connections of the load balancer; the app on port $APP_PORT sees the clients' addresses"
}

undo() {
  if has nft; then printf 'table inet gommproxy\ndelete table inet gommproxy\n' | nft -f -; fi
  rm -f "$ULOGD_CONFIG" "$LOGROTATE_CONFIG"
  if [ -e "$RSYSLOG_CONFIG" ]; then
    rm "$RSYSLOG_CONFIG"
    restart_rsyslog
  fi
  for name in ulogd iperf3 agent; do drop "$name"; done
  rm -rf "$RUN"
  if has_systemd; then
    systemctl stop "$APP_UNIT.service" 2>/dev/null || true
    systemctl disable --quiet --now "$AGENT_UNIT.service" "$AGENT_UNIT-setup.service" 2>/dev/null || true
  fi
  find_truepeer
  if has_systemd; then
    "$TRUEPEER" agent uninstall --name "$AGENT_UNIT"
    systemctl daemon-reload
  fi
  "$TRUEPEER" host-setup remove
  rm -f "$RANGES_FILE"
  say "nothing of it is left on this host, except packages and logs"
}

[ "$(id -u)" -eq 0 ] || fail 'run this as root'
case ${1:-apply} in
  apply | undo) "${1:-apply}" ;;
  *) fail "\"$1\" is not something this does; write apply or undo" ;;
esac
