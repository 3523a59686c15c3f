package ps

import "strings"

// pidstatHeader recognises the header of pidstat. Its first words are the time of
// the sample, or "# Time" with -h:
//
//	12:06:39 PM   UID       PID    %usr %system  %guest    %CPU   CPU  Command
//	#      Time   UID       PID    %usr %system  %guest    %CPU   CPU  minflt/s ...  Command
func pidstatHeader(line string) *header {
	if !strings.HasSuffix(line, "Command") {
		return nil
	}
	words := strings.Fields(line)
	first := -1
	for i, w := range words {
		if w == "UID" || w == "USER" || w == "PID" || w == "TGID" {
			first = i
			break
		}
	}
	if first < 1 || first > 3 {
		return nil
	}
	if words[0] != "#" && strings.Count(words[0], ":") != 2 && words[0] != "Average:" {
		return nil
	}
	h := &header{text: -1, skip: first}
	if words[0] == "#" {
		h.skip = first - 1
	}
	pos := 0
	for _, w := range words {
		i := strings.Index(line[pos:], w) + pos
		pos = i + len(w)
		if first > 0 {
			first--
			continue
		}
		c := colOther
		switch w {
		case "UID":
			c = colUID
		case "USER":
			c = colUser
		case "PID", "TID":
			c = map[string]column{"PID": colPID, "TID": colTID}[w]
		case "TGID":
			c = colTGID
		case "%CPU":
			c = colPCPU
		case "%MEM":
			c = colPMem
		case "RSS":
			c = colRSS
		case "VSZ":
			c = colVSZ
		case "Command":
			c = colCommand
			h.text = len(h.cols)
		}
		h.cols = append(h.cols, headerColumn{c, w, i, pos})
	}
	return h
}
