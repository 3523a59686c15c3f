package sockets

import (
	"path"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// scanner is the state between lines: the open table and its last row, which is
// held back because ss continues rows on further lines.
type scanner struct {
	out  *analyze.Sink
	opts string // letters of the options, from the file's name
	name string

	hd     header
	title  header // of the title line above the header
	table  fact.SocketTable
	row    fact.Socket
	hasRow bool
	last   int // number of the last line that belongs to row

	str    interner
	infos  slab[fact.TCPInfo]
	spare  *fact.TCPInfo // taken from infos and not used yet
	mems   slab[fact.Skmem]
	timers slab[fact.Timer]
	owned  slab[fact.Owner]
	owners []fact.Owner // scratch
	wordb  []byte       // scratch: words of tcp_info, blank separated
	lists  map[string][]string
}

func newScanner(file string, out *analyze.Sink) *scanner {
	return &scanner{out: out, opts: options(file), name: path.Base(file), str: interner{}, lists: map[string][]string{}}
}

func (s *scanner) line(b []byte, ref fact.Ref) {
	if len(b) == 0 {
		return
	}
	if s.hd.dialect == ss && b[0] == '\t' && s.continued(b, ref.Line) {
		return
	}
	if s.hd.dialect != none && s.hd.dialect != ignored {
		row := fact.Socket{At: ref}
		if s.parseRow(&s.hd, b, &row) {
			s.accept(&row)
			return
		}
	}
	if hd, ok := parseHeader(b); ok {
		s.begin(hd, ref)
		return
	}
	if s.continued(b, ref.Line) || s.hd.dialect == ignored {
		return
	}
	if hd, ok := s.guess(b); ok {
		s.begin(hd, ref)
		row := fact.Socket{At: ref}
		if s.parseRow(&s.hd, b, &row) {
			s.accept(&row)
		}
		return
	}
	if s.hd.dialect != none && rowLike(b) {
		s.out.Skip(&analyze.SyntaxError{At: ref, Msg: "row of a socket table not understood: " + clip(b)})
	}
}

// clip quotes the beginning of a line for a message.
func clip(b []byte) string {
	const limit = 60
	if len(b) > limit {
		return strings.ToValidUTF8(string(b[:limit]), "?") + "…"
	}
	return strings.ToValidUTF8(string(b), "?")
}

// continued takes lines that go on with the row right above: attributes of ss and
// the owner lines of Windows' netstat -b.
func (s *scanner) continued(b []byte, line int) bool {
	if !s.hasRow || !isBlank(b[0]) || line != s.last+1 {
		return false
	}
	s.last = line
	switch s.hd.dialect {
	case ss:
		s.attributes(b, &s.row)
		return true
	case windows:
		if w := skipBlanks(b); w[0] == '[' && w[len(w)-1] == ']' && len(s.row.Owners) > 0 {
			s.row.Owners[0].Process = s.str.get(w[1 : len(w)-1])
		}
		return true
	}
	return false
}

// parseRow reads one row in the dialect of the table.
func (s *scanner) parseRow(hd *header, b []byte, row *fact.Socket) bool {
	switch hd.dialect {
	case ss:
		return s.ssRow(hd, b, row)
	case linux, linuxUnix:
		return s.netstatRow(hd, b, row)
	case bsd:
		return s.bsdRow(hd, b, row)
	case bsdUnix:
		return s.bsdUnixRow(b, row)
	case windows:
		return s.windowsRow(b, row)
	case sockstat:
		return s.sockstatRow(b, row)
	case proc:
		return s.procRow(b, row)
	case procUnix:
		return s.procUnixRow(b, row)
	}
	return false
}

// guess finds the dialect of a row that stands below no header, or below one in a
// language that is not known.
func (s *scanner) guess(b []byte) (header, bool) {
	w, _ := nextField(b)
	if len(w) == 0 {
		return header{}, false
	}
	var try [3]header
	n := 0
	add := func(h header) { try[n] = h; n++ }
	switch {
	case netid(w) != "":
		add(header{dialect: ss, netid: true, state: true})
		add(header{dialect: linux, state: true, width: netstatWidth})
		add(header{dialect: windows})
	case protocol(w) != "":
		add(header{dialect: linux, state: true, width: netstatWidth})
		add(header{dialect: windows})
		add(header{dialect: bsd, state: true, numbers: 2, queues: true})
	case isState(w):
		add(header{dialect: ss, state: true})
	case string(w) == "unix":
		add(header{dialect: linuxUnix})
	case len(w) > 1 && w[len(w)-1] == ':' && allDigits(w[:len(w)-1]):
		add(header{dialect: proc})
	case allDigits(w):
		add(header{dialect: ss})
	}
	for _, hd := range try[:n] {
		var row fact.Socket
		if s.parseRow(&hd, b, &row) && (hd.dialect != ss || hd.netid || row.LocalPort != "" && row.RemotePort != "" && row.Proto != "unix") {
			return hd, true
		}
	}
	return header{}, false
}

// begin ends the open table and starts the one that a header announces. A title
// says what kinds of sockets the table below it holds.
func (s *scanner) begin(hd header, ref fact.Ref) {
	s.endTable()
	s.hd = hd
	if hd.title {
		s.title = hd
		if hd.dialect != ignored {
			s.hd = header{}
		}
		return
	}
	if hd.dialect == ignored {
		return
	}
	s.table = fact.SocketTable{
		At: ref, Last: ref, Tool: hd.dialect.tool(), Numeric: true,
		HasOwners: hd.owner, HasTimers: hd.timer, HasInodes: hd.inode || hd.dialect == proc || hd.dialect == procUnix,
		HasListeners: s.title.listeners, HasConnections: s.title.connections,
		Unix: hd.dialect == linuxUnix || hd.dialect == bsdUnix || hd.dialect == procUnix,
	}
	if hd.dialect == proc {
		s.table.HasTimers, s.table.HasListeners, s.table.HasConnections = true, true, true
	}
	if hd.dialect == ss {
		s.table.HasOwners = strings.ContainsRune(s.opts, 'p')
		s.table.HasTimers = strings.ContainsAny(s.opts, "oe") // -e implies -o
		if !hd.state {
			s.table.Filter = "one state"
			if st := stateInName(s.name); st != "" {
				s.table.Filter = st
			}
		}
	}
	s.title = header{}
}

// accept makes a row the last one of the table.
func (s *scanner) accept(row *fact.Socket) {
	s.flush()
	if !s.hd.state && s.hd.dialect == ss && row.Proto == "tcp" {
		s.impliedState(row)
	}
	s.row, s.hasRow, s.last = *row, true, row.At.Line
}

// impliedState gives a row of a filtered table its state: what the row itself
// implies, else what the file's name says of the filter.
func (s *scanner) impliedState(row *fact.Socket) {
	switch {
	case row.RemotePort == "*" || row.RemotePort == "0":
		row.State = fact.StateListen
	case row.Timer != nil && row.Timer.Name == "timewait":
		row.State = fact.StateTimeWait
	case s.table.Filter != "one state":
		row.State = s.table.Filter
	}
	if s.table.Filter == "one state" && row.State != "" {
		s.table.Filter = row.State
	}
}

// flush emits the last row and notes in the table what it shows.
func (s *scanner) flush() {
	if !s.hasRow {
		return
	}
	s.hasRow = false
	r, t := &s.row, &s.table
	t.Rows++
	t.Last = r.At
	t.HasOwners = t.HasOwners || len(r.Owners) > 0
	t.HasTimers = t.HasTimers || r.Timer != nil || t.Tool == "ss" && r.Inode.Known
	t.HasInodes = t.HasInodes || r.Inode.Known
	t.HasInfo = t.HasInfo || r.TCPInfo != nil
	if r.Proto == "tcp" || r.Proto == "udp" {
		listener := r.State == fact.StateListen || r.Proto == "udp" && (r.RemotePort == "*" || r.RemotePort == "0")
		t.HasListeners = t.HasListeners || listener
		t.HasConnections = t.HasConnections || !listener
		t.Numeric = t.Numeric && numericPort([]byte(r.LocalPort)) && numericPort([]byte(r.RemotePort))
	}
	if s.out != nil {
		analyze.Emit(s.out, *r)
	}
}

// endTable emits the open table. A table of ss without rows is one too: it says
// that there is nothing.
func (s *scanner) endTable() {
	s.flush()
	open := s.hd.dialect != none && s.hd.dialect != ignored && s.table.Tool != ""
	if open && s.out != nil && (s.table.Rows > 0 || s.hd.known) {
		if s.opts != "" && s.hd.dialect == ss && s.table.Filter == "" {
			all, listening := strings.ContainsRune(s.opts, 'a'), strings.ContainsRune(s.opts, 'l')
			s.table.HasListeners = s.table.HasListeners || all || listening
			s.table.HasConnections = s.table.HasConnections || all || !listening
		}
		analyze.Emit(s.out, s.table)
	}
	s.hd, s.table = header{}, fact.SocketTable{}
}

// stateInName is the state that a file's name speaks of: ss_close-wait.txt.
func stateInName(name string) string {
	low := strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	found := ""
	for _, n := range [...]struct{ word, state string }{
		{"close-wait", fact.StateCloseWait}, {"closewait", fact.StateCloseWait}, {"time-wait", fact.StateTimeWait}, {"timewait", fact.StateTimeWait},
		{"estab", fact.StateEstablished}, {"listen", fact.StateListen}, {"syn-sent", fact.StateSynSent}, {"synsent", fact.StateSynSent},
		{"syn-recv", fact.StateSynRecv}, {"synrecv", fact.StateSynRecv}, {"fin-wait-1", fact.StateFinWait1}, {"fin-wait1", fact.StateFinWait1},
		{"fin-wait-2", fact.StateFinWait2}, {"fin-wait2", fact.StateFinWait2}, {"finwait2", fact.StateFinWait2}, {"last-ack", fact.StateLastAck},
	} {
		if strings.Contains(low, n.word) {
			if found != "" && found != n.state {
				return ""
			}
			found = n.state
		}
	}
	return found
}
