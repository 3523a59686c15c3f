package auditd

import (
	"bytes"
	"encoding/csv"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// csvHead begins the first line of ausearch --format csv, which names its columns.
var csvHead = []byte("NODE,EVENT,DATE,TIME,")

// columns reads the heading of ausearch --format csv.
func columns(line []byte) map[string]int {
	out := map[string]int{}
	for i, name := range strings.Split(string(line), ",") {
		out[name] = i
	}
	return out
}

// parseCSV reads a row of ausearch --format csv. It names no process, no target
// and no signal: who, what, when and with which program.
func parseCSV(line []byte, column map[string]int, at fact.Ref) (ev fact.AuditEvent, ok bool) {
	r := csv.NewReader(bytes.NewReader(line))
	r.LazyQuotes = true
	row, err := r.Read()
	if err != nil || len(row) != len(column) {
		return ev, false
	}
	get := func(name string) string {
		if i, ok := column[name]; ok && row[i] != "unset" {
			return row[i]
		}
		return ""
	}
	if ev.Time, ok = wallTime(get("DATE"), get("TIME")); !ok {
		return ev, false
	}
	if zone, err := time.Parse("-07:00", get("GMT_OFFSET")); err == nil { // --extra-time
		_, east := zone.Zone()
		milli, _ := strconv.Atoi(get("MILLI"))
		ev.T, ev.Basis = ev.T.Add(time.Duration(milli)*time.Millisecond-time.Duration(east)*time.Second), fact.LocalZone
	}
	ev.At, ev.Node, ev.Types = at, get("NODE"), []string{get("EVENT")}
	ev.Serial, _ = strconv.ParseUint(get("SERIAL_NUM"), 10, 64)
	if n, err := strconv.ParseInt(get("SESSION"), 10, 64); err == nil {
		ev.Session = fact.Some(n)
	}
	if who := get("SUBJ_PRIME"); who != "system" {
		ev.AUIDName = who
	}
	ev.UIDName, ev.Key = get("SUBJ_SEC"), get("KEY")
	with(&ev, get("HOW"))
	settle(&ev, get("ACTION"), get("RESULT"), get("OBJ_PRIME"))
	return ev, true
}

// with sets the program that acted: ausearch prints its path, or only its name.
func with(ev *fact.AuditEvent, how string) {
	if strings.HasPrefix(how, "/") {
		ev.Exe, how = how, path.Base(how)
	}
	ev.Comm = how
}

// settle sets what an action in words tells.
func settle(ev *fact.AuditEvent, action, outcome, object string) {
	ev.Op, ev.Result = action, outcome
	ev.Text = strings.TrimSpace(action + " " + object)
	if outcome != "" {
		ev.Success = fact.Some(outcome == "success")
	}
	switch {
	case strings.HasPrefix(action, "killed-"):
		ev.Syscall = "kill"
	case action == "executed":
		ev.Syscall = "execve"
	}
	if strings.HasPrefix(object, "/") {
		ev.Paths, ev.PathTypes = []string{object}, []string{"NORMAL"}
		if ev.Syscall == "execve" && ev.Exe == "" {
			with(ev, object)
		}
	}
}

// parseText reads a line of ausearch --format text:
//
//	At 01:40:54 11/21/26 liwei, acting as root, successfully executed /usr/bin/sleep
//	On web-1 at 01:40:54 11/21/26 system, acting as app, unsuccessfully opened-file /etc/shadow using /usr/bin/cat
func parseText(line []byte, at fact.Ref) (ev fact.AuditEvent, ok bool) {
	rest := string(line)
	if node, ok := strings.CutPrefix(rest, "On "); ok {
		if ev.Node, rest, ok = strings.Cut(node, " at "); !ok {
			return ev, false
		}
	} else if rest, ok = strings.CutPrefix(rest, "At "); !ok {
		return ev, false
	}
	clock, rest, _ := strings.Cut(rest, " ")
	date, rest, _ := strings.Cut(rest, " ")
	if ev.Time, ok = wallTime(date, clock); !ok {
		return ev, false
	}
	ev.At, ev.Types = at, []string{"TEXT"}
	words := strings.Fields(rest)
	if len(words) < 2 {
		return ev, false
	}
	who := strings.TrimSuffix(words[0], ",")
	if who != "system" && who != "unset" {
		ev.AUIDName = who
	}
	words = words[1:]
	if len(words) > 2 && words[0] == "acting" && words[1] == "as" {
		ev.UIDName, words = strings.TrimSuffix(words[2], ","), words[3:]
	}
	outcome := ""
	if len(words) > 0 {
		switch words[0] {
		case "successfully":
			outcome, words = "success", words[1:]
		case "unsuccessfully":
			outcome, words = "failed", words[1:]
		}
	}
	if len(words) == 0 {
		return ev, false
	}
	object, how, _ := strings.Cut(strings.Join(words[1:], " "), "using ")
	with(&ev, how)
	settle(&ev, words[0], outcome, strings.TrimSpace(object))
	return ev, true
}

// wallTime reads a date and a time of ausearch's locale, month first unless that
// is no month.
func wallTime(date, clock string) (fact.Time, bool) {
	for _, layout := range [...]string{"01/02/06", "01/02/2006", "02/01/06", "02/01/2006", "2006-01-02", "02.01.2006", "02.01.06", "2006/01/02", "02-01-2006"} {
		if t, err := time.Parse(layout+" 15:04:05", date+" "+clock); err == nil {
			return fact.Time{T: t, Basis: fact.LocalNoZone, Precision: time.Second}, true
		}
	}
	return fact.Time{}, false
}
