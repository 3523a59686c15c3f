#!/bin/sh
# Lets child_process.exec end a service that prints too much, and records who
# signalled whom. Needs Node and ps, and one way to see signals: auditd (as root,
# not yet running: a private one is started with a log of its own), or strace.
# Takes about 20 s, uses no network and leaves nothing behind but the bundle.
#
#	./reproduce.sh [-f] [-o bundle.tar.gz]
. "$(dirname "$0")/../../lib.sh"
need node ps tar

# private_audit: run an audit daemon of our own, if nobody else's is there.
private_audit() {
	[ "$(id -u)" = 0 ] && command -v auditd >/dev/null 2>&1 && command -v auditctl >/dev/null 2>&1 || return 1
	status=$(auditctl -s 2>/dev/null) || return 1
	echo "$status" | grep -q '^pid 0$' || return 1    # somebody listens already
	echo "$status" | grep -q '^enabled 2$' && return 1 # locked until reboot
	[ "$(auditctl -l 2>/dev/null)" = "No rules" ] || return 1
	was_enabled=$(echo "$status" | sed -n 's/^enabled //p')
	mkdir -m 700 "$work/audit" "$work/audit/plugins.d"
	cat >"$work/audit/auditd.conf" <<-CONF
		local_events = yes
		write_logs = yes
		log_file = $work/audit/audit.log
		log_group = root
		log_format = RAW
		flush = NONE
		max_log_file = 8
		num_logs = 0
		max_log_file_action = IGNORE
		space_left = 75
		space_left_action = IGNORE
		admin_space_left = 50
		admin_space_left_action = IGNORE
		disk_full_action = IGNORE
		disk_error_action = IGNORE
		plugin_dir = $work/audit/plugins.d
	CONF
	start "$work/auditd.log" auditd -n -s nochange -c "$work/audit"
	audit_pid=$pid
	n=50
	while ! auditctl -s 2>/dev/null | grep -q "^pid $audit_pid\$"; do
		n=$((n - 1))
		[ "$n" -gt 0 ] && kill -0 "$audit_pid" 2>/dev/null || return 1
		sleep 0.1
	done
	audit_on=yes
	auditctl -e 1 >/dev/null
	auditctl -a always,exit -F arch=b64 -S kill,tkill,tgkill,pidfd_send_signal -k kill_signal
}

undo() {
	[ "${audit_on:-}" = yes ] || return 0
	auditctl -d always,exit -F arch=b64 -S kill,tkill,tgkill,pidfd_send_signal -k kill_signal >/dev/null 2>&1
	auditctl -e "$was_enabled" >/dev/null 2>&1
}

cp "$here/launcher.js" "$here/service.js" "$work/"
cd "$work"
export EVENT_LOG="$bundle/service.log"

if private_audit; then
	record=audit
	say "recording signals with auditd"
	start "$bundle/launcher.log" node launcher.js
	launcher_pid=$pid
elif command -v strace >/dev/null 2>&1; then
	record=strace
	say "auditd cannot be used here (it needs root and no other daemon); recording signals with strace:"
	say "the trace shows who signalled whom, but the report names a sender from an audit log only"
	start "$bundle/launcher.log" strace -f -tt -s 200 -e trace=execve,kill,tkill,tgkill,pidfd_send_signal -o "$bundle/strace_launcher.txt" node launcher.js
else
	record=none
	say "neither auditd nor strace can be used here: the bundle will not prove who sent the signal"
	start "$bundle/launcher.log" node launcher.js
fi
await 10 "$bundle/launcher.log" 'starting the service'
launcher_pid=$(field "$bundle/launcher.log" 'pid=([0-9]+)')
await 10 "$EVENT_LOG" 'started'
service_pid=$(field "$EVENT_LOG" 'pid=([0-9]+)')
worker_pid=$(field "$EVENT_LOG" 'worker=([0-9]+)')
pids="$pids $launcher_pid $service_pid $worker_pid"
sleep 1
common "$launcher_pid" "$service_pid" "$worker_pid"
mv "$bundle/ps_jf.txt" "$bundle/ps_jf_before.txt"
cat "/proc/$service_pid/io" >"$bundle/procio_$service_pid.txt" 2>/dev/null || rm -f "$bundle/procio_$service_pid.txt"

say "waiting until the service has printed a mebibyte"
if [ "$FIXED" ]; then
	sleep 15
	# The access log stands in the launcher's output now.
	tail -n 100 "$bundle/launcher.log" >"$work/tail" && mv "$work/tail" "$bundle/launcher.log"
else
	await 60 "$bundle/launcher.log" 'service stopped'
	sleep 1
fi
free -k >"$bundle/free.txt" 2>/dev/null || true
if [ "$record" = audit ]; then
	kill "$audit_pid" && wait "$audit_pid" 2>/dev/null || true
	# Other programs of the machine send signals too; they are not ours to show.
	awk -v own=" pid=($launcher_pid|$service_pid|$worker_pid) " '
		match($0, /audit\([0-9.:]+\)/) { id = substr($0, RSTART, RLENGTH) }
		$0 ~ /^type=SYSCALL/ && $0 ~ own { keep[id] = 1 }
		id in keep || /^type=DAEMON_(START|END)/' "$work/audit/audit.log" >"$bundle/audit.log"
fi
mkdir "$bundle/src"
cp "$here/launcher.js" "$bundle/src/"
finish
