package audit

import (
	"bytes"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Journal reads records as the journal prints them, without time and serial of the
// event: these are the line's time and a number that counts events up.
//
//	Nov 21 08:53:26 web-1 audit[811]: SYSCALL arch=c000003e syscall=62 success=yes ...
//	Nov 21 08:53:26 web-1 audit: PROCTITLE proctitle="-bash"
type Journal struct {
	serial uint64
	leads  bool  // the event began with a record that its SYSCALL record follows
	second int64 // of the event
}

// InJournal finds the record in a line of the journal; ok is false when it has none.
func InJournal(line []byte) (kind, body []byte, ok bool) {
	i := bytes.Index(line[:min(len(line), searchHeader)], []byte(" audit"))
	if i < 0 {
		return nil, nil, false
	}
	rest := line[i+len(" audit"):]
	if len(rest) > 0 && rest[0] == '[' {
		_, n := digits(rest[1:])
		if rest = rest[1+n:]; n == 0 || len(rest) == 0 || rest[0] != ']' {
			return nil, nil, false
		}
		rest = rest[1:]
	}
	if rest, ok = bytes.CutPrefix(rest, []byte(": ")); !ok {
		return nil, nil, false
	}
	kind, body, ok = bytes.Cut(rest, []byte(" "))
	if !ok || len(kind) < 3 || bytes.IndexByte(body, '=') < 0 {
		return nil, nil, false
	}
	for _, c := range kind {
		if (c < 'A' || c > 'Z') && c != '_' && (c < '0' || c > '9') {
			return nil, nil, false
		}
	}
	return kind, body, true
}

// Record makes a record of what InJournal found, of an event that begins with it or
// that the record before belongs to.
func (j *Journal) Record(kind, body []byte, when fact.Time) Record {
	second := when.T.Unix()
	if !when.Known() {
		second = 0
	}
	call := string(kind) == "SYSCALL"
	if j.serial == 0 || second != j.second || !part(kind) && !(call && j.leads) {
		j.serial++
		j.second = second
		j.leads = string(kind) == "AVC" || bytes.HasPrefix(kind, []byte("ANOM_")) || string(kind) == "CONFIG_CHANGE"
	}
	j.leads = j.leads && !call
	return Record{Type: kind, Body: body, Sec: second, Serial: j.serial, Wall: !when.Absolute()}
}

// part reports whether a record only adds to an event of the same process.
func part(kind []byte) bool {
	switch string(kind) {
	case "PATH", "CWD", "PROCTITLE", "EXECVE", "OBJ_PID", "SOCKADDR", "BPRM_FCAPS", "FD_PAIR", "MMAP", "CAPSET", "IPC", "MQ_OPEN", "EOE":
		return true
	}
	return false
}
