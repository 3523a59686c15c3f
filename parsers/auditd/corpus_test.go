package auditd_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/auditd"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

// record is one record as go-libaudit's own parser reads it.
type record struct {
	Type   string            `json:"record_type"`
	Serial uint64            `json:"sequence"`
	Data   map[string]string `json:"data"`
}

// TestRecordsAgree compares events with the records that go-libaudit's golden
// files state for logs of RHEL 6 and 7 and Ubuntu 14 to 17.
func TestRecordsAgree(t *testing.T) {
	logs, _ := filepath.Glob("../../../shared/corpora/audit/go-libaudit/auparse/testdata/*.log")
	if len(logs) == 0 {
		t.Skip("no corpus of audit logs beside the repository")
	}
	for _, file := range logs {
		t.Run(filepath.Base(file), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			golden, err := os.ReadFile(file + ".golden")
			if err != nil {
				t.Fatal(err)
			}
			var want []*record
			if err := json.Unmarshal(golden, &want); err != nil {
				t.Fatal(err)
			}
			st, status := parsertest.Run(t, auditd.Parser(), filepath.Base(file), content)
			if status.Skipped > 1 { // one sample holds a record without a header
				t.Errorf("%d records skipped: %v", status.Skipped, status.Issues)
			}
			compared := 0
			for _, w := range want {
				if w == nil || w.Data == nil {
					continue // a record that the golden file calls malformed
				}
				compared += w.compare(t, st)
			}
			if compared == 0 {
				t.Error("nothing was compared")
			}
		})
	}
}

func (w *record) compare(t *testing.T, st *fact.Store) int {
	t.Helper()
	for e := range fact.All[fact.AuditEvent](st.View("test", "audit_event")) {
		if e.Serial != w.Serial || !slices.Contains(e.Types, strings.ToUpper(w.Type)) {
			continue
		}
		n := 0
		for field, got := range w.fields(e) {
			want, ok := w.Data[field]
			if !ok || want == "" || want == "?" {
				continue
			}
			n++
			if got != want {
				t.Errorf("event %d, %s.%s is %q, want %q", w.Serial, w.Type, field, got, want)
			}
		}
		return n
	}
	t.Errorf("event %d has no record %s", w.Serial, w.Type)
	return 0
}

// fields are what an event says of the record, by the golden file's names.
func (w *record) fields(e *fact.AuditEvent) map[string]string {
	switch strings.ToUpper(w.Type) {
	case "SYSCALL":
		exit := e.Exit
		if e.Errno != "" {
			exit = e.Errno
		}
		auid := "unset"
		if e.AUID.Known {
			auid = strconv.FormatInt(e.AUID.V, 10)
		}
		return map[string]string{"pid": strconv.Itoa(e.PID), "ppid": strconv.Itoa(e.PPID), "syscall": e.Syscall, "arch": e.Arch,
			"exe": e.Exe, "comm": e.Comm, "exit": exit, "auid": auid}
	case "CWD":
		return map[string]string{"cwd": e.Cwd}
	case "EXECVE":
		out := map[string]string{}
		for i, a := range e.Argv {
			out["a"+strconv.Itoa(i)] = a
		}
		return out
	case "PATH":
		if want := w.Data["name"]; slices.Contains(e.Paths, want) {
			return map[string]string{"name": want}
		}
		return map[string]string{"name": strings.Join(e.Paths, " ")}
	case "PROCTITLE", "SOCKADDR", "BPRM_FCAPS", "EOE", "OBJ_PID", "FD_PAIR", "MMAP":
		return nil
	}
	return map[string]string{"pid": strconv.Itoa(e.PID), "exe": e.Exe, "acct": e.Acct, "op": e.Op, "addr": e.Addr, "comm": e.Comm, "unit": e.Unit}
}
