#!/bin/sh
# Leaks sockets in a small Node relay and collects what an operator would.
# Needs Node, ss and ps; lsof and netstat for two more files. Takes about 20 s,
# uses loopback only and leaves nothing behind but the bundle.
#
#	./reproduce.sh [-f] [-o bundle.tar.gz]
. "$(dirname "$0")/../../lib.sh"
need node ss ps tar

visits=1500
cd "$here"
ulimit -n 8192 2>/dev/null || ulimit -n "$(ulimit -H -n)"
[ "$(ulimit -n)" = unlimited ] || [ "$(ulimit -n)" -ge 4096 ] || die "needs 4096 open files, the limit is $(ulimit -n)"

start "$bundle/upstream.log" node upstream.js
upstream_pid=$pid
await 10 "$bundle/upstream.log" 'listening on'
upstream=$(field "$bundle/upstream.log" 'listening on 127.0.0.1:([0-9]+)')

start "$bundle/relay.log" node relay.js "$upstream" "$bundle/relay_metrics.csv"
relay_pid=$pid
await 10 "$bundle/relay.log" 'listening on'
relay=$(field "$bundle/relay.log" 'listening on 127.0.0.1:([0-9]+)')

say "$visits clients come and go"
start "$work/clients.log" node clients.js "$relay" "$visits" 20
clients_pid=$pid
await 60 "$work/clients.log" 'visits done'
sleep 3

say "collecting"
common "$upstream_pid" "$relay_pid" "$clients_pid"
cat "/proc/$relay_pid/limits" >"$bundle/limits_$relay_pid.txt"
sockets ss_tanpoemi.txt "$upstream" "$relay"
if have netstat "second socket table"; then
	netstat -antp 2>/dev/null | grep -E "^Active|^Proto|:($upstream|$relay) " >"$bundle/netstat_antp.txt" || true
fi
if have lsof "list of open files"; then
	lsof -nP -p "$relay_pid" >"$bundle/lsof_$relay_pid.txt" 2>/dev/null || true
fi
mkdir "$bundle/src"
cp "$here/relay.js" "$bundle/src/"
finish
