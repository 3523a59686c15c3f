package stamp

import "bytes"

// Finder finds the stamp of each line of one artifact, after Detect looked at its
// beginning. It knows what precedes the stamps there, which of the risky layouts
// (a bare number, a bare clock) are in use, and the order of numeric dates. It is
// a plain value and may be used by several goroutines.
type Finder struct {
	order        Order
	epoch, clock bool
	// leads are how many words stand before the stamp, most common first.
	leads [3]int8
	n     int8
	// Share is the part of the lines looked at that begin with a stamp, leaving out
	// continuation lines.
	Share float64
	// Stamped is how many lines did.
	Stamped int
	// Ambiguous reports that no stamp told the order of day and month.
	Ambiguous bool
	// mask is the first stamp that stands behind the most common lead, with '0' for
	// each digit; maskLen is its length, zero without.
	mask    [48]byte
	maskLen int
}

// maxLead is how many words may precede a stamp: an access log has three.
const maxLead = 4

// tally counts what the first lines of a file show.
type tally struct {
	lines, epochs, clocks, dates int
	leads                        [maxLead + 1]int
	first                        [maxLead + 1][]byte // the first stamp behind each lead
	// numeric dates, whether one can only be day first, whether any tells the order
	numeric       int
	swapped, told bool
}

// Detect looks at the lines of head, at most 400 of them.
func Detect(head []byte) Finder {
	var f Finder
	var t tally
	for len(head) > 0 && t.lines < 400 {
		line := head
		if i := bytes.IndexByte(head, '\n'); i >= 0 {
			line, head = head[:i], head[i+1:]
		} else {
			head = nil
		}
		if len(line) == 0 || line[0] == ' ' || line[0] == '\t' || line[0] == '}' || line[0] == ')' {
			continue
		}
		f.look(&t, line)
	}
	if t.lines > 0 {
		f.settle(&t)
	}
	return f
}

// look counts one line.
func (f *Finder) look(t *tally, line []byte) {
	t.lines++
	for lead := range maxLead + 1 {
		from := skip(line, lead)
		if from < 0 {
			return
		}
		s, n := Parse(line[from:], Unknown)
		if n == 0 {
			continue
		}
		switch {
		case s.Epoch:
			t.epochs++
		case s.Clock:
			t.clocks++
		default:
			t.dates++
			// 11/21/2026 and 1/2/2026, not 2026-11-21 and 21-Nov-2026.
			if c := at(line, from+2); (c == '/' || c == '-' || c == '.' || at(line, from+1) == '/') && !letter(at(line, from+3)) {
				t.numeric++
				t.swapped = t.swapped || s.DayFirst
				t.told = t.told || s.Day > 12
			}
		}
		if t.leads[lead]++; t.first[lead] == nil {
			t.first[lead] = line[from : from+n]
		}
		return
	}
}

// settle draws the conclusions from the counts.
func (f *Finder) settle(t *tally) {
	f.Stamped = t.dates
	f.epoch = t.epochs > t.dates && t.epochs*2 > t.lines
	f.clock = !f.epoch && t.clocks > t.dates && t.clocks*3 > t.lines
	switch {
	case f.epoch:
		f.Stamped = t.epochs
	case f.clock:
		f.Stamped = t.clocks
	}
	if t.numeric > 0 {
		f.order, f.Ambiguous = MonthFirst, !t.told
		if t.swapped {
			f.order = DayFirst
		}
	}
	found := 0
	for lead, c := range t.leads {
		if (lead == 0 || c*5 >= t.lines) && int(f.n) < len(f.leads) {
			f.leads[f.n] = int8(lead)
			f.n++
			found += c
		}
	}
	// Dates in the middle of a few lines are no stamps.
	f.Stamped = min(f.Stamped, found)
	f.Share = float64(f.Stamped) / float64(t.lines)
	// The most common lead first; with few candidates an exchange is enough.
	for i := int(f.n) - 1; i > 0; i-- {
		if t.leads[f.leads[i]] > t.leads[f.leads[i-1]] {
			f.leads[i], f.leads[i-1] = f.leads[i-1], f.leads[i]
		}
	}
	if f.n > 0 {
		f.setMask(t.first[f.leads[0]])
	}
}

// Find returns the stamp of a line and where it stands. to is zero if the line
// has none. What precedes it (line[:from]) may hold a level, a host or brackets.
func (f *Finder) Find(line []byte) (s Stamp, from, to int) {
	for i := range f.n {
		from = skip(line, int(f.leads[i]))
		if from < 0 {
			continue
		}
		s, n := Parse(line[from:], f.order)
		if n == 0 || s.Epoch && !f.epoch || s.Clock && !f.clock {
			continue
		}
		return s, from, from + n
	}
	return Stamp{}, 0, 0
}

// Clock reports whether the stamps are bare clocks, without a date.
func (f *Finder) Clock() bool { return f.clock }

// skip returns the position after `lead` words and what may open a stamp:
// brackets, quotes, a syslog priority, time=.
func skip(b []byte, lead int) int {
	i := 0
	for range lead {
		start := i
		for i < len(b) && b[i] != ' ' && b[i] != '\t' {
			if i++; i-start > 64 {
				return -1
			}
		}
		if i == start || i >= len(b) {
			return -1
		}
		for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
			i++
		}
	}
	if at(b, i) == '<' && digit(at(b, i+1)) { // <34>1 2026-..., <34>Nov 21 ...
		if j := bytes.IndexByte(b[i:min(len(b), i+6)], '>'); j > 0 {
			i += j + 1
			if at(b, i) == '1' && at(b, i+1) == ' ' {
				i += 2
			}
		}
	}
	for k := 0; k < 2 && i < len(b); k++ {
		switch b[i] {
		case '[', '(', '<', '"', '\'':
			i++
		case 't', '@':
			i += timeKey(b[i:])
		default:
			return i
		}
	}
	return i
}

// timeKey is the length of time=, ts= and their kin at the beginning of b.
func timeKey(b []byte) int {
	for _, k := range [...]string{"time=", "ts=", "t=", "timestamp=", "@timestamp="} {
		if len(b) > len(k) && string(b[:len(k)]) == k {
			return len(k)
		}
	}
	return 0
}

// setMask remembers the form of a stamp.
func (f *Finder) setMask(b []byte) {
	if len(b) > len(f.mask) {
		return
	}
	for i, c := range b {
		if digit(c) {
			c = '0'
		}
		f.mask[i] = c
	}
	f.maskLen = len(b)
}

// Begins is Find for a caller that only wants to know where the stamp stands. It
// compares the line with the form of the first stamp of the file, which nearly all
// lines have; what it accepts by form alone may still be no valid time.
func (f *Finder) Begins(line []byte) (from, to int) {
	if n := f.maskLen; n > 0 {
		if from = skip(line, int(f.leads[0])); from >= 0 && len(line) > from+n && f.masked(line[from:]) {
			return from, from + n
		}
	}
	_, from, to = f.Find(line)
	return from, to
}

// masked reports whether b, which is longer, begins with the form of the mask.
func (f *Finder) masked(b []byte) bool {
	n := f.maskLen
	for i, want := range f.mask[:n] {
		c := b[i]
		if digit(c) {
			c = '0'
		}
		if c != want {
			return false
		}
	}
	c := b[n]
	return !digit(c) && c != '.' && c != ',' && c != 'Z' && c != '+' && c != '-'
}
