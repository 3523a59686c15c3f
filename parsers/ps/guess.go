package ps

import "strings"

// foreignTop reads top's header in a language whose words are not known: the
// columns nobody renames (PR, NI) show that it is the default order. Some
// translations lose the state's heading, but not its column.
//
//	PID USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND
//	进程 USER      PR  NI    VIRT    RES    SHR    %CPU  %MEM     TIME+ COMMAND
func foreignTop(words []headerColumn) *header {
	if len(words) < len(topOrder)-1 || len(words) > len(topOrder) || !strings.HasPrefix(words[2].word, "PR") || words[3].word != "NI" {
		return nil
	}
	return &header{cols: topOrder, text: len(topOrder) - 1}
}

var topOrder = []headerColumn{
	{col: colPID, word: "PID"}, {col: colUser, word: "USER"}, {col: colOther, word: "PR"}, {col: colOther, word: "NI"}, {col: colVSZ, word: "VIRT"},
	{col: colRSS, word: "RES"}, {col: colOther, word: "SHR"}, {col: colState, word: "S"}, {col: colPCPU, word: "%CPU"}, {col: colPMem, word: "%MEM"},
	{col: colTime, word: "TIME+"}, {col: colCommand, word: "COMMAND"},
}

// headless are the column selections that people filter with grep, which takes
// the header off: ps aux, ps -ef, ps axjf and ps -elf.
var headless = [][]headerColumn{
	{{col: colUser, word: "USER"}, {col: colPID, word: "PID"}, {col: colPCPU, word: "%CPU"}, {col: colPMem, word: "%MEM"}, {col: colVSZ, word: "VSZ"}, {col: colRSS, word: "RSS"},
		{col: colTTY, word: "TTY"}, {col: colState, word: "STAT"}, {col: colStart, word: "START"}, {col: colTime, word: "TIME"}, {col: colCommand, word: "COMMAND"}},
	{{col: colUser, word: "UID"}, {col: colPID, word: "PID"}, {col: colPPID, word: "PPID"}, {col: colOther, word: "C"}, {col: colStart, word: "STIME"},
		{col: colTTY, word: "TTY"}, {col: colTime, word: "TIME"}, {col: colCommand, word: "CMD"}},
	{{col: colPPID, word: "PPID"}, {col: colPID, word: "PID"}, {col: colPGID, word: "PGID"}, {col: colSID, word: "SID"}, {col: colTTY, word: "TTY"}, {col: colOther, word: "TPGID"},
		{col: colState, word: "STAT"}, {col: colUID, word: "UID"}, {col: colTime, word: "TIME"}, {col: colCommand, word: "COMMAND"}},
	{{col: colOther, word: "F"}, {col: colState, word: "S"}, {col: colUser, word: "UID"}, {col: colPID, word: "PID"}, {col: colPPID, word: "PPID"}, {col: colOther, word: "C"},
		{col: colOther, word: "PRI"}, {col: colOther, word: "NI"}, {col: colOther, word: "ADDR"}, {col: colOther, word: "SZ"}, {col: colWchan, word: "WCHAN"},
		{col: colStart, word: "STIME"}, {col: colTTY, word: "TTY"}, {col: colTime, word: "TIME"}, {col: colCommand, word: "CMD"}},
}

// guessHeader is the header that a row without one would have: every column must
// hold what such a column can hold.
func guessHeader(line string) *header {
	for _, cols := range headless {
		h := &header{cols: cols, text: len(cols) - 1, guessed: true}
		if r, ok := h.split(line); ok && r.plausible(h) {
			return h
		}
	}
	return nil
}

func (r *row) plausible(h *header) bool {
	for _, c := range h.cols {
		v := r.get(c.col)
		ok := true
		switch c.col {
		case colPID, colPPID, colPGID, colSID, colRSS, colVSZ, colUID:
			ok = isNumber(v)
		case colPCPU, colPMem:
			ok = float(v).Known && strings.ContainsAny(v, ".,")
		case colTTY:
			ok = v == "?" || v == "??" || v == "-" || strings.HasPrefix(v, "pts/") || strings.HasPrefix(v, "tty") || strings.HasPrefix(v, "console")
		case colState:
			ok = strings.IndexByte("RSDTtXZWIU", v[0]) >= 0 && len(v) <= 6
		case colTime:
			ok = strings.IndexByte(v, ':') > 0 && duration(v, false).Known
		}
		if !ok {
			return false
		}
	}
	return r.command != ""
}
