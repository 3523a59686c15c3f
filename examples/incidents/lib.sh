# Shared by the reproduce.sh scripts of this folder. Sourced, not run.
#
# A script works in a temporary directory, starts processes with `start`, gathers
# files in $bundle and ends with `finish`. Whatever happens, its processes and its
# directory are gone when it ends.

set -eu
umask 022
export LC_ALL=C

say() { printf '%s\n' "$*" >&2; }
die() { say "$0: $*"; exit 1; }

# need TOOL...: stop unless all are there.
need() {
	missing=
	for tool in "$@"; do
		command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
	done
	[ -z "$missing" ] || die "needs:$missing"
}

# have TOOL WHAT: note that without TOOL the bundle lacks WHAT.
have() {
	command -v "$1" >/dev/null 2>&1 && return 0
	say "without $1: the bundle has no $2"
	return 1
}

# -f runs the same system with its fault corrected: the report must be clean then.
out=
export FIXED=
while getopts o:fh opt; do
	case $opt in
	o) out=$OPTARG ;;
	f) FIXED=yes ;;
	*) say "usage: $0 [-f] [-o bundle.tar.gz]"; exit 2 ;;
	esac
done
here=$(cd "$(dirname "$0")" && pwd)
name=$(basename "$(dirname "$here")")
: "${out:=$PWD/$name-$(date -u +%Y%m%dT%H%M%SZ).tar.gz}"
case $out in /*) ;; *) out=$PWD/$out ;; esac

work=$(mktemp -d)
bundle=$work/$name
mkdir "$bundle"
pids=
export EXAMPLE_DIR="$work"

# ours PID: whether the process was started by this script. A number alone may
# belong to somebody else by now.
ours() { tr '\0' '\n' 2>/dev/null <"/proc/$1/environ" | grep -qxF "EXAMPLE_DIR=$work"; }

cleanup() {
	status=$?
	trap - EXIT INT TERM HUP
	for p in $pids; do
		if ours "$p"; then kill "$p" 2>/dev/null || true; fi
	done
	n=20
	for p in $pids; do
		while ours "$p" && [ "$n" -gt 0 ]; do
			n=$((n - 1))
			sleep 0.1
		done
		if ours "$p"; then kill -9 "$p" 2>/dev/null || true; fi
	done
	if command -v undo >/dev/null 2>&1; then undo || true; fi
	rm -rf "$work"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# start LOG COMMAND...: run in the background; its pid is in $pid.
start() {
	log=$1
	shift
	"$@" >>"$log" 2>&1 &
	pid=$!
	pids="$pids $pid"
}

# await SECONDS FILE PATTERN: wait until a line of the file matches.
await() {
	n=$(($1 * 10))
	while ! grep -Eq "$3" "$2" 2>/dev/null; do
		n=$((n - 1))
		[ "$n" -gt 0 ] || die "waited $1 s for '$3' in $(basename "$2")"
		sleep 0.1
	done
}

# field FILE PATTERN: the part of a file that a sed expression's \1 matches first.
field() { sed -nE "s/.*$2.*/\\1/p" "$1" | head -n 1; }

# capture FILE FILTER: record packets of loopback until the script ends; a machine
# that does not let us is told, and the bundle then has no capture.
capture() {
	have tcpdump "packet capture" || return 0
	start "$work/tcpdump.log" tcpdump -i lo -n -s 128 -U -w "$bundle/$1" "$2"
	n=30
	while ! grep -q 'listening on' "$work/tcpdump.log" 2>/dev/null; do
		n=$((n - 1))
		if [ "$n" -eq 0 ] || ! kill -0 "$pid" 2>/dev/null; then
			say "tcpdump may not capture here (it needs root or CAP_NET_RAW): the bundle has no packet capture"
			rm -f "$bundle/$1"
			return 0
		fi
		sleep 0.1
	done
	capture_pid=$pid
}

# stop_capture: end the recording so that the file is whole.
stop_capture() {
	[ -n "${capture_pid:-}" ] || return 0
	kill -INT "$capture_pid" 2>/dev/null || true
	wait "$capture_pid" 2>/dev/null || true
}

# common PID...: the files that every bundle has. Only our own processes are
# listed: the bundle says nothing else about the machine.
common() {
	date -u '+%F %T.%N %Z %z' >"$bundle/date.txt"
	uname -a >"$bundle/uname.txt"
	ps jf -p "$(echo "$@" | tr ' ' ',')" >"$bundle/ps_jf.txt" || true
}

# sockets FILE PORT...: the socket table of these ports.
sockets() {
	file=$1
	shift
	expr=
	for port in "$@"; do
		expr="$expr${expr:+ or }sport = :$port or dport = :$port"
	done
	ss -tanpoemi "( $expr )" >"$bundle/$file"
}

# finish: pack the bundle.
finish() {
	tar -C "$work" -czf "$work/out.tar.gz" "$name"
	mv "$work/out.tar.gz" "$out"
	say "wrote $out; read it with: analyze $out"
}
