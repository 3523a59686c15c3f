package sockets

import (
	"bytes"
	"strings"
)

// dialect is the form of a table's rows.
type dialect int

const (
	none      dialect = iota // no table is open
	ss                       // "ESTAB 0 0 127.0.0.1:80 127.0.0.1:4711 users:(...)"
	linux                    // "tcp 0 0 127.0.0.1:80 0.0.0.0:* LISTEN 1/nginx"
	linuxUnix                // "unix 2 [ ACC ] STREAM LISTENING 13851 1/systemd /run/x"
	bsd                      // "tcp4 0 0 127.0.0.1.25 *.* LISTEN"
	bsdUnix                  // "fffff800 stream 0 0 0 0 0 0 /var/run/x"
	windows                  // "TCP 0.0.0.0:135 0.0.0.0:0 LISTENING 1712"
	proc                     // "0: 0100007F:1F90 00000000:0000 0A ..."
	sockstat                 // "www nginx 998 6 tcp4 *:80 *:* LISTEN"
	procUnix                 // "0000000000000000: 00000002 00000000 00010000 0001 01 1 /run/x"
	ignored                  // a table of something else: routes, kernel events
)

func (d dialect) tool() string {
	switch d {
	case ss:
		return "ss"
	case proc, procUnix:
		return "proc"
	case sockstat:
		return "sockstat"
	}
	return "netstat"
}

// header is what a header line says about the rows below it.
type header struct {
	dialect dialect
	// known is false when there is no header line or its language is unknown: the
	// shape of the row then decides.
	known bool
	// netid and state: the columns of ss that it drops when all rows agree.
	netid, state bool
	// ports: address and port stand in columns of their own.
	ports bool
	// inode, owner and timer are optional columns of netstat that the header names.
	inode, owner, timer bool
	// lead is how many columns stand before Proto (BSD: control block, hash),
	// numbers how many between Proto and the addresses, queues whether those are
	// Recv-Q and Send-Q.
	lead, numbers int
	queues        bool
	// after names BSD's columns after the state.
	after []string
	// width is how wide addresses are before the tool cuts them, 0 if it does not.
	width int
	// title: the line only announces a table; what it says of its contents.
	title                  bool
	listeners, connections bool
}

// netstatWidth is how wide net-tools prints an address without -W.
const netstatWidth = 23

// parseHeader recognises the header lines and titles of all tools.
func parseHeader(b []byte) (header, bool) {
	b = skipBlanks(b)
	if len(b) < 8 || b[0] >= '0' && b[0] <= '9' {
		return header{}, false
	}
	text := string(b[:min(len(b), 400)])
	switch {
	case strings.Contains(text, "Address:Port") && strings.Contains(text, "Recv-Q"):
		return header{dialect: ss, known: true, netid: strings.HasPrefix(text, "Netid"), state: strings.Contains(text, "State")}, true
	case strings.HasPrefix(text, "sl ") && strings.Contains(text, "local_address"):
		return header{dialect: proc, known: true}, true
	case strings.HasPrefix(text, "Num ") && strings.Contains(text, "RefCount Protocol Flags"):
		return header{dialect: procUnix, known: true}, true
	case strings.HasPrefix(text, "USER ") && strings.Contains(text, " PROTO ") && strings.Contains(text, "LOCAL ADDRESS"):
		return header{dialect: sockstat, known: true, state: true, owner: true}, true
	case strings.HasPrefix(text, "Address ") && strings.Contains(text, "Nextref"):
		return header{dialect: bsdUnix, known: true}, true
	case strings.Contains(text, "Proto") && (strings.Contains(text, "Local") || strings.Contains(text, "Recv-Q") || strings.Contains(text, "RefCnt")):
		return netstatHeader(text)
	}
	return title(text)
}

func netstatHeader(text string) (header, bool) {
	fields := strings.Fields(text)
	has := func(w string) bool { return strings.Contains(text, w) }
	switch {
	case has("RefCnt") && has("Flags"):
		return header{dialect: linuxUnix, known: true, owner: has("PID/")}, true
	case has("vendor") || has("Proto/ID") || has("PSM") || !has("Local") && has("(state)"):
		return header{dialect: ignored}, true
	case has("(state)") || has("OOORcv") || has("R-MBUF") || has("Tcpcb") || has("Flowhash") || has("PCB"):
		return bsdHeader(text, fields)
	case has("Recv-Q") && !has("RefCnt"):
		english := has("Foreign Address") || has("Local Address")
		return header{
			dialect: linux, known: english, state: true, width: netstatWidth,
			inode: has("Inode"), owner: has("PID/"), timer: has("Timer"),
			ports: strings.Count(text, " Port ") >= 2,
		}, true
	case has("Local Address") && has("Foreign Address"):
		return header{dialect: windows, known: true, owner: has("PID")}, true
	}
	return header{}, false
}

func bsdHeader(text string, fields []string) (header, bool) {
	h := header{dialect: bsd, known: true, state: strings.Contains(text, "(state)"), queues: strings.Contains(text, "Recv-Q")}
	proto, local := -1, -1
	for i, f := range fields {
		switch {
		case f == "Proto" && proto < 0:
			proto = i
		case f == "Local" && local < 0:
			local = i
		}
	}
	if proto < 0 || local < proto {
		return header{dialect: ignored}, true
	}
	h.lead, h.numbers = proto, local-proto-1
	if i := strings.Index(text, "(state)"); i >= 0 {
		h.after = strings.Fields(text[i+len("(state)"):])
	}
	if l, f := strings.Index(text, "Local"), strings.Index(text, "Foreign"); l >= 0 && f > l {
		h.width = f - l - 1
	}
	return h, true
}

// titles announce tables of netstat in the languages it speaks.
var titles = [...]string{
	"Active Internet connections", "Aktive Internetverbindungen", "Connexions Internet actives", "稼働中のインターネット接続",
	"Conexões Internet Ativas", "Aktivní Internetová spojení", "Aktiivsed internetiühendused", "Aktiva internetanslutningar", "Connexions actives", "Active Connections",
	"激活Internet连接", "Aktive Verbindungen", "Conexiones activas", "Conexões ativas", "活动连接", "アクティブな接続", "Активные подключения",
}

// otherTitles announce tables that hold no sockets of interest, or none at all.
var otherTitles = [...]string{
	"Kernel IP routing table", "Kernel Interface table", "Kernel IPv6 routing table", "IPv6/IPv4 Group Memberships",
	"Active Multipath", "Active kernel", "Registered kernel control modules", "Active Bluetooth", "Routing tables", "Active IPX", "Active AX.25",
}

func title(text string) (header, bool) {
	for _, t := range otherTitles {
		if strings.HasPrefix(text, t) {
			return header{dialect: ignored, title: true}, true
		}
	}
	for _, t := range titles {
		if !strings.HasPrefix(text, t) {
			continue
		}
		h := header{title: true, listeners: true, connections: true}
		switch note := text[len(t):]; {
		case containsAny(note, "only servers", "Nur Server", "seulement serveurs", "サーバのみ", "endast servrar", "pouze servery", "ainult serverid"):
			h.connections = false
		case containsAny(note, "w/o", "ohne Server", "sans serveurs", "utan servrar", "ilma serveriteta"):
			h.listeners = false
		case strings.Contains(note, "sem os servidores"): // Portuguese says it of both; the rows will tell
			h.listeners, h.connections = false, false
		}
		return h, true
	}
	return header{}, false
}

func containsAny(s string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

// rowLike reports whether a line begins like a row of a table, so that not
// understanding it is worth a note.
func rowLike(b []byte) bool {
	w, rest := nextField(b)
	if protocol(w) == "" && netid(w) == "" && tcpState(w) == "" && !bytes.Equal(w, []byte("unix")) {
		return false
	}
	w, _ = nextField(rest)
	return len(w) > 0
}
