package nodereport

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// header is the section that says which process, when and why.
type header struct {
	Event, Trigger     string
	DumpEventTime      string
	DumpEventTimeStamp any // milliseconds, a string in all versions so far
	ProcessID          int
	CommandLine        []string
	NodejsVersion      string
	OSName, OSRelease  string
	Host               string
}

func (p *report) header(at fact.Ref) {
	h := &p.head
	if h.ProcessID > 0 {
		analyze.Emit(p.out, fact.Process{At: at, PID: h.ProcessID, Command: strings.Join(h.CommandLine, " "), CommandCut: len(h.CommandLine) == 0})
	}
	if h.Host != "" {
		analyze.Emit(p.out, fact.HostInfo{At: at, Name: "hostname", Value: h.Host})
	}
	if h.OSRelease != "" {
		analyze.Emit(p.out, fact.HostInfo{At: at, Name: "kernel", Value: h.OSName + " " + h.OSRelease})
	}
	taken, zone := h.taken()
	if taken.Known() {
		analyze.Emit(p.out, fact.HostInfo{At: at, Name: "date", Value: h.DumpEventTime, Time: taken, ZoneOffset: zone})
	}
	if e, ok := h.failure(); ok {
		e.At, e.Time = at, taken
		e.PID = fact.Int{V: int64(h.ProcessID), Known: h.ProcessID > 0}
		analyze.Emit(p.out, e)
	}
}

// taken is when the report was written. The time stamp is an epoch; the time beside
// it is the host's local time, though it ends in "Z": their difference is the zone.
func (h *header) taken() (t fact.Time, zone fact.Int) {
	ms, err := strconv.ParseInt(fmt.Sprint(h.DumpEventTimeStamp), 10, 64)
	if err != nil || ms <= 0 || ms > 1<<43 {
		return fact.Time{}, fact.Int{}
	}
	t = fact.Time{T: time.UnixMilli(ms).UTC(), Basis: fact.Epoch, Precision: time.Millisecond}
	const quarter = 15 * time.Minute
	if local, err := time.Parse(time.RFC3339, h.DumpEventTime); err == nil {
		if off := local.Sub(t.T).Round(quarter); off.Abs() <= 14*time.Hour {
			zone = fact.Some(int64(off / time.Second))
		}
	}
	return t, zone
}

// failure is the event for which the report was written, unless somebody asked for
// it by a call or a signal.
func (h *header) failure() (fact.LogEvent, bool) {
	e := fact.LogEvent{Level: "fatal", Source: "node", Text: h.Event, Signs: []string{fact.SignError, fact.SignStop}}
	switch h.Trigger {
	case "OOMError":
		e.Signs = []string{fact.SignError, fact.SignOOM, fact.SignStop}
	case "FatalError", "Exception":
		if strings.Contains(h.Event, "out of memory") {
			e.Signs = []string{fact.SignError, fact.SignOOM, fact.SignStop}
		}
	default:
		return fact.LogEvent{}, false
	}
	return e, h.Event != ""
}

// stack is what the main thread runs in JavaScript, or the error it dies of.
type stack struct {
	Message string
	Stack   []string
}

func (p *report) stack(s stack, at fact.Ref) {
	t := fact.Thread{At: at, Runtime: "node", Name: "main"}
	if p.head.ProcessID > 0 {
		t.PID, t.LWP = fact.Some(int64(p.head.ProcessID)), fact.Some(int64(p.head.ProcessID))
	}
	for _, line := range s.Stack {
		if call, ok := strings.CutPrefix(strings.TrimSpace(line), "at "); ok && len(t.Frames) < maxFrames {
			t.Frames = append(t.Frames, frame(call))
		}
	}
	if len(t.Frames) > 0 {
		analyze.Emit(p.out, t)
	}
}

const maxFrames = 500

// frame reads "Timeout.late [as _onTimeout] (/srv/app.js:2:203)" and the nameless
// "/srv/app.js:2:203".
func frame(call string) fact.Frame {
	name, place, named := strings.Cut(call, " (")
	if !named {
		name, place = "", call
	}
	name, _, _ = strings.Cut(name, " [as ")
	f := fact.Frame{Func: cmp.Or(name, "(anonymous)"), File: strings.TrimSuffix(place, ")")}
	for range 2 { // column, then line
		i := strings.LastIndexByte(f.File, ':')
		if i < 0 {
			break
		}
		n, err := strconv.Atoi(f.File[i+1:])
		if err != nil {
			break
		}
		f.File, f.Line = f.File[:i], n
	}
	return f
}

// handle is one handle of the event loop.
type handle struct {
	Type           string
	LocalEndpoint  *endpoint
	RemoteEndpoint *endpoint
	FD             *int64
	WriteQueueSize *int64
}

type endpoint struct {
	Host, IP4, IP6 string
	Port           int
}

// handle makes a socket of a TCP or UDP handle. A TCP handle without a peer is a
// server; libuv binds no others.
func (p *report) handle(h handle, at fact.Ref) {
	if h.LocalEndpoint == nil || h.Type != "tcp" && h.Type != "udp" {
		return
	}
	s := fact.Socket{At: at, Proto: h.Type, Remote: "*", RemotePort: "*"}
	s.Local, s.LocalPort = h.LocalEndpoint.text()
	if h.RemoteEndpoint != nil {
		s.Remote, s.RemotePort = h.RemoteEndpoint.text()
	} else if h.Type == "tcp" {
		s.State = fact.StateListen
	}
	if p.head.ProcessID > 0 {
		o := fact.Owner{Process: "node", PID: p.head.ProcessID}
		if h.FD != nil && *h.FD >= 0 {
			o.FD = fact.Some(*h.FD)
		}
		s.Owners = []fact.Owner{o}
	}
	if p.table.Rows == 0 {
		// It shows one process: what is missing means nothing.
		p.table = fact.SocketTable{At: at, Tool: "node", HasOwners: true, HasListeners: true, HasConnections: true, Numeric: true, Filter: "one process"}
	}
	p.table.Rows++
	p.table.Last = at
	analyze.Emit(p.out, s)
}

// text is the address in digits; a report with --report-exclude-network has only
// the host.
func (e *endpoint) text() (host, port string) {
	return cmp.Or(e.IP4, e.IP6, e.Host), strconv.Itoa(e.Port)
}

// userLimit is a number or "unlimited" in each field.
type userLimit struct{ Soft, Hard any }

// limitNames gives the limits the names of /proc/PID/limits.
var limitNames = map[string]string{
	"open_files": "Max open files", "max_user_processes": "Max processes", "core_file_size_blocks": "Max core file size",
	"stack_size_bytes": "Max stack size", "virtual_memory_kbytes": "Max address space", "max_locked_memory_bytes": "Max locked memory",
}

func (p *report) limits(l map[string]userLimit, at fact.Ref) {
	var keys []string
	for k := range l {
		if limitNames[k] != "" {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		analyze.Emit(p.out, fact.Limit{At: at, PID: p.head.ProcessID, Name: limitNames[k], Soft: number(l[k].Soft), Hard: number(l[k].Hard)})
	}
}

func number(v any) fact.Int {
	n, err := strconv.ParseInt(fmt.Sprint(v), 10, 64)
	if f, ok := v.(float64); ok && f >= 0 && f < 1<<53 {
		n, err = int64(f), nil
	}
	return fact.Int{V: n, Known: err == nil}
}
