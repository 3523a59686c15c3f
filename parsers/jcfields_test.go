package parsers_test

import (
	"cmp"
	"fmt"
	"net/netip"
	"sort"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// ourFields are the fields of a fact that jc knows too; a fact that stands for
// several of jc's rows gives several.
func ourFields(f fact.Fact) []map[string]string {
	switch f := f.(type) {
	case *fact.Socket:
		return []map[string]string{socketFields(f)}
	case *fact.Process:
		return []map[string]string{processFields(f)}
	case *fact.OpenFile:
		return []map[string]string{{
			"process": f.Process, "pid": strconv.Itoa(f.PID), "tid": number(f.TID), "user": f.User, "fd": f.FD + f.Mode, "type": f.Type,
			"device": f.Device, "size": strings.TrimPrefix(f.Size, "0t"), // a decimal offset
			"node": f.Node, "name": f.Name,
		}}
	case *fact.Counter:
		return []map[string]string{{"name": f.Name, "value": strconv.FormatInt(f.Value, 10)}}
	}
	return nil
}

func number(n fact.Int) string {
	if !n.Known {
		return ""
	}
	return strconv.FormatInt(n.V, 10)
}

func socketFields(s *fact.Socket) map[string]string {
	out := map[string]string{
		"proto": s.Proto, "recv_q": number(s.RecvQ), "send_q": number(s.SendQ), "local": s.Local, "local_port": s.LocalPort, "remote": s.Remote,
		"remote_port": s.RemotePort, "inode": number(s.Inode), "state": s.State, "path": s.Path, "user": cmp.Or(s.User, number(s.UID)),
		"cookie": s.Cookie, "cgroup": s.Cgroup,
	}
	var pids, names, fds []string
	for _, o := range s.Owners {
		pids, names, fds = append(pids, strconv.Itoa(o.PID)), append(names, o.Process), append(fds, number(o.FD))
	}
	sort.Strings(pids)
	out["pid"], out["program"], out["fd"] = strings.Join(pids, ","), strings.Join(names, ","), strings.Join(fds, ",")
	if s.Timer != nil {
		out["timer"], out["retrans"] = s.Timer.Name, strconv.Itoa(s.Timer.Retrans)
	}
	return out
}

func processFields(p *fact.Process) map[string]string {
	return map[string]string{
		"pid": strconv.Itoa(p.PID), "ppid": number(p.PPID), "pgid": number(p.PGID), "sid": number(p.SID), "user": p.User, "state": p.State, "tty": p.TTY,
		"start": p.Start, "command": p.Command, "rss": number(p.RSSkB), "vsz": number(p.VSZkB), "pcpu": optional(p.PCPU), "pmem": optional(p.PMem),
	}
}

func optional(o fact.Opt[float64]) string {
	if !o.Known {
		return ""
	}
	return strconv.FormatFloat(o.V, 'f', -1, 64)
}

// theirFields gives a row of jc our names and spellings. A row that becomes no
// fact of ours gives none.
func theirFields(file string, kind fact.Kind, r map[string]any) []map[string]string {
	switch kind {
	case "socket":
		return theirSocket(file, r)
	case "process":
		return []map[string]string{theirProcess(r)}
	case "open_file":
		return []map[string]string{pick(r, map[string]string{
			"process": "command", "pid": "pid", "tid": "tid", "user": "user", "fd": "fd", "type": "type", "device": "device", "size": "size_off", "node": "node", "name": "name",
		})}
	case "counter":
		var out []map[string]string
		for name, v := range r {
			out = append(out, map[string]string{"name": name, "value": text(v)})
		}
		return out
	}
	return nil
}

// pick takes the fields that a row has, by our name for each.
func pick(r map[string]any, names map[string]string) map[string]string {
	out := map[string]string{}
	for ours, their := range names {
		if v, ok := r[their]; ok && v != nil {
			out[ours] = text(v)
		}
	}
	return out
}

func theirProcess(r map[string]any) map[string]string {
	out := pick(r, map[string]string{
		"pid": "pid", "ppid": "ppid", "pgid": "pgrp", "sid": "session", "user": "user", "state": "stat", "tty": "tty", "start": "start", "command": "command",
		"rss": "rss", "vsz": "vsz", "pcpu": "cpu_percent", "pmem": "mem_percent",
	})
	for ours, their := range map[string]string{"user": "uid", "command": "cmd", "start": "stime", "pcpu": "percent_cpu", "pmem": "percent_mem", "state": "state"} {
		if v, ok := r[their]; ok && v != nil {
			out[ours] = text(v)
		}
	}
	if v, ok := r["started"]; ok && v != nil {
		out["start"] = text(v)
	}
	if v, ok := r["tt"]; ok && v != nil {
		out["tty"] = text(v)
	}
	if _, ok := r["comm"]; ok { // /proc/PID/stat, in pages and with a name alone
		out["command"] = text(r["comm"])
		delete(out, "rss")
		delete(out, "start") // in ticks since the boot
	}
	if name, ok := r["Name"]; ok { // /proc/PID/status
		uid, _ := r["Uid"].([]any)
		out = map[string]string{"command": text(name), "pid": text(r["Tgid"]), "ppid": text(r["PPid"]), "user": text(uid[0]), "state": text(r["State"]), "rss": text(r["VmRSS"]), "vsz": text(r["VmSize"])}
	}
	return out
}

var jcStates = map[string]string{
	"ESTAB": "ESTABLISHED", "SYN-SENT": "SYN_SENT", "SYN-RECV": "SYN_RECV", "FIN-WAIT-1": "FIN_WAIT1", "FIN-WAIT-2": "FIN_WAIT2", "TIME-WAIT": "TIME_WAIT",
	"CLOSE-WAIT": "CLOSE_WAIT", "LAST-ACK": "LAST_ACK", "LISTENING": "LISTEN", "FIN_WAIT_1": "FIN_WAIT1", "FIN_WAIT_2": "FIN_WAIT2", "CLOSED": "CLOSE",
	"01": "ESTABLISHED", "04": "FIN_WAIT1", "06": "TIME_WAIT", "08": "CLOSE_WAIT", "0A": "LISTEN",
}

func theirSocket(file string, r map[string]any) []map[string]string {
	if _, ok := r["St"]; ok { // /proc/net/unix
		return []map[string]string{{"proto": "unix", "inode": text(r["Inode"]), "path": text(r["Path"])}}
	}
	if k, ok := r["kind"]; ok && k != "network" && k != "socket" {
		return nil // routes, interfaces, kernel events
	}
	out := pick(r, map[string]string{
		"recv_q": "recv_q", "send_q": "send_q", "local": "local_address", "remote": "foreign_address", "local_port": "local_port",
		"remote_port": "foreign_port", "pid": "pid", "program": "program_name", "inode": "inode", "path": "path", "user": "user",
	})
	for ours, their := range map[string]string{"remote": "peer_address", "remote_port": "peer_port"} {
		if v, ok := r[their]; ok {
			out[ours] = text(v)
		}
	}
	proto := strings.ToLower(text(cmp.Or(r["netid"], r["transport_protocol"], r["proto"])))
	switch {
	case strings.HasPrefix(proto, "u_"), proto == "unix", r["kind"] == "socket":
		return []map[string]string{theirUnix(out)}
	case strings.HasPrefix(proto, "p_"):
		proto = "packet"
	case strings.HasPrefix(proto, "v_"):
		proto = "vsock"
	case strings.HasPrefix(file, "net_tcp"):
		proto = "tcp"
		theirProcNet(r, out)
	}
	out["proto"] = strings.TrimRight(proto, "46")
	if state := text(r["state"]); proto == "tcp" {
		if jcStates[state] != "" {
			state = jcStates[state]
		}
		out["state"] = state
	}
	for _, end := range []string{"local", "remote"} {
		if host, ok := out[end]; ok {
			out[end], _, _ = strings.Cut(strings.Trim(host, "[]"), "%")
		}
	}
	if v, ok := out["program"]; ok {
		out["program"] = strings.Trim(v, "[]")
	}
	if channel, ok := r["channel"]; ok { // of a netlink row
		delete(out, "remote_port")
		out["local"], _, _ = strings.Cut(text(channel), ":")
	}
	theirOptions(r, out)
	return []map[string]string{out}
}

func theirUnix(out map[string]string) map[string]string {
	unix := map[string]string{"proto": "unix"}
	for _, k := range []string{"recv_q", "send_q", "path", "pid", "inode"} {
		if v, ok := out[k]; ok && v != "*" { // "*" stands for no path
			unix[k] = v
		}
	}
	return unix
}

// theirProcNet gives a row of /proc/net/tcp our spellings.
func theirProcNet(r map[string]any, out map[string]string) {
	hex := func(k string) string {
		n, _ := strconv.ParseInt(text(r[k]), 16, 64)
		return strconv.FormatInt(n, 10)
	}
	out["send_q"], out["recv_q"], out["user"] = hex("tx_queue"), hex("rx_queue"), text(r["uid"])
	out["remote"], out["remote_port"] = text(r["remote_address"]), text(r["remote_port"])
	for _, end := range []string{"local", "remote"} {
		if a, err := netip.ParseAddr(out[end]); err == nil {
			out[end] = a.String()
		}
	}
	if out["remote_port"] == "0" {
		out["remote_port"] = "*"
	}
}

// theirOptions reads what jc makes of the words behind the addresses of ss.
func theirOptions(r map[string]any, out map[string]string) {
	opts, _ := r["opts"].(map[string]any)
	if owners, ok := opts["process_id"].(map[string]any); ok {
		var pids []string
		for pid := range owners {
			pids = append(pids, pid)
		}
		sort.Strings(pids)
		out["pid"] = strings.Join(pids, ",")
	}
	if out["pid"] == "0" {
		delete(out, "pid") // Windows' way to say that there is no owner
	}
	for ours, their := range map[string]string{"inode": "inode_number", "cookie": "cookie", "cgroup": "cgroup", "user": "uid_number"} {
		if v, ok := opts[their]; ok {
			out[ours] = fmt.Sprint(v)
		}
	}
	if timer, ok := opts["timer"].(map[string]any); ok {
		out["timer"], out["retrans"] = text(timer["timer_name"]), text(timer["retrans"])
	}
}
