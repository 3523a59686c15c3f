package ps

import (
	"strings"
)

// column is what a column of the table means.
type column int

const (
	colOther column = iota // one word that no rule uses
	colPID
	colPPID
	colPGID
	colSID
	colTID
	colUser
	colUID
	colState
	colTTY
	colStart
	colElapsed
	colTime
	colPCPU
	colPMem
	colRSS
	colVSZ
	colWchan
	colCommand
	colCgroup
	colTGID
	columns
)

// names maps header words to columns. Words of colOther are known too: a header
// is recognised by all its words being known.
func columnOf(word string) (column, bool) {
	switch strings.ToUpper(word) {
	case "PID":
		return colPID, true
	case "PPID":
		return colPPID, true
	case "PGID", "PGRP":
		return colPGID, true
	case "SID", "SESS", "SESSION":
		return colSID, true
	case "LWP", "TID", "SPID":
		return colTID, true
	case "TGID":
		return colTGID, true
	case "USER", "EUSER", "LOGNAME", "UNAME":
		return colUser, true
	case "UID", "EUID":
		return colUID, true
	case "STAT", "S", "STATE":
		return colState, true
	case "TTY", "TT", "TTNAME":
		return colTTY, true
	case "START", "STIME", "STARTED", "LSTART", "START_TIME":
		return colStart, true
	case "ELAPSED", "ETIME", "ETIMES":
		return colElapsed, true
	case "TIME", "TIME+", "CPUTIME", "TIMES":
		return colTime, true
	case "%CPU", "PCPU", "CPU%":
		return colPCPU, true
	case "%MEM", "PMEM":
		return colPMem, true
	case "RSS", "RSZ", "RSSIZE", "RES":
		return colRSS, true
	case "VSZ", "VSIZE", "VIRT":
		return colVSZ, true
	case "WCHAN":
		return colWchan, true
	case "CMD", "COMMAND", "ARGS", "UCMD", "COMM", "UCOMM":
		return colCommand, true
	case "CGROUP":
		return colCgroup, true
	case "C", "CP", "CPU", "F", "FLAGS", "PRI", "PR", "NI", "NICE", "ADDR", "SZ", "SIZE", "NLWP", "THCNT", "#TH", "CLS", "CLASS", "POL", "TPGID", "GROUP", "EGROUP",
		"RGROUP", "GID", "EGID", "RGID", "RUSER", "RUID", "SUSER", "SUID", "FUSER", "FUID", "PSR", "P", "RTPRIO", "STACKP", "ESP", "EIP", "PENDING", "BLOCKED", "IGNORED", "CAUGHT",
		"SHR", "CODE", "DATA", "SWAP", "NFLT", "NDRT", "%VSZ", "NMAJ", "NMIN", "MAJFLT", "MINFLT", "MAJFL", "MINFL", "TRS", "DRS", "LIM", "TSIZ", "DSIZ", "JID", "JOBC", "PAGEIN", "LABEL",
		"UNIT", "UUNIT", "SLICE", "OWNER", "SEAT", "MACHINE", "USERNS", "PIDNS", "NETNS", "MNTNS", "IPCNS", "UTSNS", "PSS", "USS", "OOM", "OOMADJ", "EXE", "CAPEFF", "CAPBND", "NUMA", "TDEV", "LSESSION", "LUID", "SUPGRP", "SUPGID", "%MEMORY", "RGRP", "TH", "THR", "NTH", "ENVIRON", "ENVIRONMENT", "NS":
		return colOther, true
	}
	return colOther, false
}

// header is the columns of a table as its header line states them.
type header struct {
	cols []headerColumn
	text int // index of the command column, -1 if there is none
	// timed: the time of the sample stands before the first column (pidstat).
	timed bool
	// guessed: no header line says so, only the shape of the rows.
	guessed bool
}

type headerColumn struct {
	col        column
	word       string
	start, end int // bytes of the header line
}

// parseHeader recognises a header line: a PID column, and words that are nearly
// all names of columns.
func parseHeader(line string) *header {
	h := &header{text: -1}
	known, pid := 0, false
	for i := 0; i < len(line); {
		if line[i] == ' ' || line[i] == '\t' {
			i++
			continue
		}
		start := i
		for i < len(line) && line[i] != ' ' && line[i] != '\t' {
			i++
		}
		word := line[start:i]
		c, ok := columnOf(word)
		if ok && word == strings.ToUpper(word) {
			known++
		} else if !ok && isNumber(word) {
			return nil
		}
		pid = pid || c == colPID && word == "PID"
		if c == colCommand {
			h.text = len(h.cols)
		}
		h.cols = append(h.cols, headerColumn{c, word, start, i})
	}
	understood := pid && len(h.cols) >= 2 && known*10 >= len(h.cols)*7 && known >= 2
	if !understood || h.text < 0 {
		if f := foreignTop(h.cols); f != nil {
			return f
		}
	}
	if !understood {
		return nil
	}
	return h
}

// has reports whether the table has a column.
func (h *header) has(c column) bool {
	for _, have := range h.cols {
		if have.col == c {
			return true
		}
	}
	return false
}

// top reports whether the columns are those of top.
func (h *header) top() bool {
	for _, c := range h.cols {
		if c.word == "TIME+" || c.word == "%VSZ" || c.word == "VIRT" || c.word == "RES" {
			return true
		}
	}
	return false
}

func isNumber(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
