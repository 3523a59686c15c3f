package analyze

import "github.com/culprit-dev/culprit/analyze/fact"

// howTo says, for a kind of fact, what it is called in sentences and which
// command collects it. Words in capitals are to be replaced.
var howTo = map[fact.Kind]struct{ words, command string }{
	"socket":          {"socket table", "ss -tanpoemi > ss_tanpoemi.txt"},
	"socket_table":    {"socket table", "ss -tanpoemi > ss_tanpoemi.txt"},
	"process":         {"process table", "ps axjf > ps_axjf.txt"},
	"process_table":   {"process table", "ps axjf > ps_axjf.txt"},
	"open_file":       {"list of open files", "lsof -nP -p PID > lsof_PID.txt"},
	"limit":           {"process limits", "cat /proc/PID/limits > limits_PID.txt"},
	"filesystem":      {"use of file systems", "(df -h; df -i) > df.txt"},
	"flow":            {"packet capture", "tcpdump -i any -s 200 -w tcp.pcap 'tcp port PORT'"},
	"capture":         {"packet capture", "tcpdump -i any -s 200 -w tcp.pcap 'tcp port PORT'"},
	"icmp_error":      {"ICMP error in a packet capture", "tcpdump -i any -s 200 -w tcp.pcap 'icmp or icmp6 or tcp port PORT'"},
	"dns_failure":     {"DNS in a packet capture", "tcpdump -i any -w dns.pcap 'port 53'"},
	"goroutine":       {"goroutine dump", "curl -s 'http://HOST:PORT/debug/pprof/goroutine?debug=2' > goroutine.txt"},
	"dump":            {"goroutine dump", "curl -s 'http://HOST:PORT/debug/pprof/goroutine?debug=2' > goroutine.txt"},
	"goroutine_group": {"goroutine profile", "curl -s 'http://HOST:PORT/debug/pprof/goroutine' > goroutine.pb.gz"},
	"profile":         {"pprof profile", "curl -s 'http://HOST:PORT/debug/pprof/mutex' > mutex.pb.gz"},
	"profile_site":    {"pprof profile", "curl -s 'http://HOST:PORT/debug/pprof/mutex' > mutex.pb.gz"},
	"thread":          {"thread stacks", "gdb -p PID -batch -ex 'thread apply all bt' > gdb_bt_PID.txt"},
	"trace":           {"system call trace", "timeout 10 strace -f -tt -T -y -p PID -o strace_PID.txt"},
	"container":       {"description of containers", "kubectl describe pods -A > describe_pods.txt"},
	"cluster_event":   {"events of the cluster", "kubectl get events -A --sort-by=.lastTimestamp > events.txt"},
	"audit_event":     {"audit log", "auditctl -a always,exit -F arch=b64 -S kill,tkill,tgkill,pidfd_send_signal -k kill_signal; cp /var/log/audit/audit.log ."},
	"audit_trail":     {"audit log", "cp /var/log/audit/audit.log ."},
	"audit_status":    {"state of the audit system", "(auditctl -l; auditctl -s) > auditctl.txt"},
	"log_event":       {"application log", "journalctl -u UNIT --since '-2 hours' > UNIT.log   # or the service's own log file"},
	"log_shape":       {"application log", "journalctl -u UNIT --since '-2 hours' > UNIT.log   # or the service's own log file"},
	"log":             {"application log", "journalctl -u UNIT --since '-2 hours' > UNIT.log   # or the service's own log file"},
	"kernel_event":    {"kernel message about it", "dmesg -T > dmesg.txt"},
	"counter":         {"kernel counters", "nstat -az > nstat_1.txt; sleep 30; nstat -az > nstat_2.txt"},
	"metric":          {"metrics", "while sleep 5; do date '+%F %T'; cat /proc/PID/io; done > procio_PID.txt   # or the service's metrics as CSV"},
	"expected":        {"inventory", "cp INVENTORY.yaml .   # or list peers, listeners and versions under expected: in culprit.yaml"},
	"baseline":        {"baseline", "analyze --baseline HEALTHY_BUNDLE BUNDLE   # a bundle of the same system, taken while it was healthy"},
	"deviation":       {"baseline", "analyze --baseline HEALTHY_BUNDLE BUNDLE   # a bundle of the same system, taken while it was healthy"},
	"source_call":     {"program source", "cp LAUNCHER_SOURCE .   # the script or program that starts the others"},
	"command_run":     {"shell history or transcript", "HISTTIMEFORMAT='%F %T ' history > history_USER.txt"},
	"host_info":       {"host's date and version", "(date '+%F %T.%N %z'; uname -a; hostname; uptime) > host.txt"},
	"account":         {"list of accounts", "getent passwd > passwd.txt"},
}

func kindWords(k fact.Kind) string {
	if h, ok := howTo[k]; ok {
		return h.words
	}
	return string(k)
}

func collect(r *Rule, k fact.Kind) string {
	if c, ok := r.Collect[k]; ok {
		return c
	}
	return howTo[k].command
}

// HowToCollect is the command that collects facts of a kind, "" if none is known.
func HowToCollect(k fact.Kind) string { return howTo[k].command }
