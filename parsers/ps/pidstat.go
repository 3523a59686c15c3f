package ps

import "strings"

// pidstatHeader recognises the header of pidstat. Before its columns stands the
// time of the sample in the form of the locale, an epoch with -H, or "# Time" with
// -h:
//
//	12:06:39 PM   UID       PID    %usr %system  %guest    %CPU   CPU  Command
//	05时39分15秒   UID       PID    %usr %system  %guest   %wait    %CPU   CPU  Command
//	#      Time   UID       PID    %usr %system  %guest    %CPU   CPU  minflt/s ...  Command
func pidstatHeader(line string) *header {
	if !strings.HasSuffix(line, " Command") {
		return nil
	}
	words := strings.Fields(line)
	first := stampWords(line)
	if first == 0 && len(words) > 2 && words[0] == "#" {
		first = 2
	}
	if first == 0 || first >= len(words) {
		return nil
	}
	switch words[first] {
	case "UID", "USER", "PID", "TGID":
	default:
		return nil
	}
	h := &header{text: -1, timed: true}
	pos := 0
	for i, w := range words {
		at := strings.Index(line[pos:], w) + pos
		pos = at + len(w)
		if i < first {
			continue
		}
		c := pidstatColumn(w)
		if c == colCommand {
			h.text = len(h.cols)
		}
		h.cols = append(h.cols, headerColumn{c, w, at, pos})
	}
	return h
}

func pidstatColumn(word string) column {
	switch word {
	case "UID":
		return colUID
	case "USER":
		return colUser
	case "PID", "TGID": // with -t, threads print "-" there
		return colPID
	case "TID":
		return colTID
	case "%CPU":
		return colPCPU
	case "%MEM":
		return colPMem
	case "RSS":
		return colRSS
	case "VSZ":
		return colVSZ
	case "Command":
		return colCommand
	}
	return colOther
}

// stampWords is how many words the time takes that a line of pidstat begins with,
// 0 if it begins with something else, such as the word for "Average:".
//
//	12:06:39 PM | 12:06:39 | 05时39分16秒 | 05시 39분 21초 | 1795239611
func stampWords(line string) int {
	n := 0
	for w := range strings.FieldsSeq(line) {
		digit := w[0] >= '0' && w[0] <= '9'
		switch {
		case digit && (strings.Count(w, ":") == 2 || !isASCII(w)), n == 0 && len(w) == 10 && isNumber(w):
		case n > 0 && (w == "AM" || w == "PM"):
		default:
			return n
		}
		n++
	}
	return n
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
