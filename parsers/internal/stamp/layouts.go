package stamp

import "time"

// parseDigits reads the layouts that begin with a number. It returns the number
// of bytes taken, zero if it is no stamp.
func (s *Stamp) parseDigits(b []byte, order Order) int {
	v, n := run(b, 0)
	switch n {
	case 4:
		return s.yearFirst(b, int(v))
	case 8: // 20261121T013448Z
		s.Year, s.Month, s.Day = int(v/10000), int(v/100%100), int(v%100)
		return s.compactClock(b, 8)
	case 10:
		return s.epoch(b, v, n, 1)
	case 13:
		return s.epoch(b, v, n, 1000)
	case 16:
		return s.epoch(b, v, n, 1_000_000)
	case 19:
		return s.epoch(b, v, n, 1_000_000_000)
	case 1, 2:
		switch at(b, n) {
		case ':':
			return s.bareClock(b)
		case '/', '-', '.', ' ':
			return s.dayOrMonthFirst(b, int(v), n, order)
		}
	}
	return 0
}

// yearFirst reads 2026-11-21T01:34:48.123Z and its kin: separators -, / and .,
// T, space or _ before the clock, and 2026年11月21日.
func (s *Stamp) yearFirst(b []byte, year int) int {
	s.Year = year
	i := 4
	sep := at(b, i)
	word := han(b, i, hanYear)
	switch {
	case word > 0:
		i += word
	case sep == '-' || sep == '/' || sep == '.':
		i++
	default:
		return 0
	}
	var n int
	if s.Month, n = two(b, i); n == 0 {
		if s.Month, n = month(b, i); n == 0 || sep != '-' {
			return 0
		}
	}
	i += n
	switch k := han(b, i, hanMonth); {
	case word > 0 && k > 0:
		i += k
	case word == 0 && at(b, i) == sep:
		i++
	default:
		return 0
	}
	if s.Day, n = two(b, i); n == 0 {
		return 0
	}
	i += n
	if word > 0 {
		k := han(b, i, hanDay)
		if k == 0 {
			return 0
		}
		i += k
	}
	return s.afterDate(b, i)
}

// afterDate reads what separates date and clock, then the clock.
func (s *Stamp) afterDate(b []byte, i int) int {
	if at(b, i) == ',' {
		i++
	}
	switch at(b, i) {
	case 'T', 't', '_', ':', '-':
		i++
	default:
		i = spaces(b, i)
	}
	return s.clock(b, i)
}

// compactClock reads T013448[.123][Z] or a space and 01:34:48 after 20261121.
func (s *Stamp) compactClock(b []byte, i int) int {
	switch at(b, i) {
	case 'T', ' ', '-', '_':
		i++
	default:
		return 0
	}
	v, n := run(b, i)
	if n == 6 {
		s.Hour, s.Min, s.Sec = int(v/10000), int(v/100%100), int(v%100)
		return s.zone(b, s.fraction(b, i+6))
	}
	return s.clock(b, i)
}

// epoch reads a count of seconds, milli-, micro- or nanoseconds since 1970 that
// falls between 2001 and 2100. It must end like a word.
func (s *Stamp) epoch(b []byte, v int64, n int, unit int64) int {
	s.Epoch = true
	s.Unix = v / unit
	if s.Unix < 1e9 || s.Unix > 4_102_444_800 {
		return 0
	}
	s.Nano = int(v % unit * (1e9 / unit))
	s.Precision = time.Duration(1e9 / unit)
	if unit == 1 {
		n = s.fraction(b, n)
	}
	if c := at(b, n); letter(c) || digit(c) || c == '-' || c == '_' || c == '/' || c == '.' {
		return 0
	}
	return n
}

// dayOrMonthFirst reads 11/21/2026, 21.11.2026, 21/Nov/2026:, 21-Nov-2026 and
// 21 Nov 2026, each with a clock.
func (s *Stamp) dayOrMonthFirst(b []byte, first, i int, order Order) int {
	sep := b[i]
	i++
	if letter(at(b, i)) {
		m, n := month(b, i)
		if n == 0 {
			return 0
		}
		s.Day, s.Month = first, m
		i += n
		if at(b, i) != sep {
			return 0
		}
		return s.yearOrClock(b, i+1)
	}
	if sep == ' ' {
		return 0
	}
	second, n := two(b, i)
	i += n
	if n == 0 || at(b, i) != sep {
		return 0
	}
	year, n := run(b, i+1)
	switch n {
	case 2:
		year += 2000
	case 4:
	default:
		return 0
	}
	s.Year = int(year)
	// Dots are used where the day comes first.
	s.DayFirst = first > 12 || second <= 12 && (order == DayFirst || order == Unknown && sep == '.')
	s.Month, s.Day = first, second
	if s.DayFirst {
		s.Month, s.Day = second, first
	}
	return s.afterDate(b, i+1+n)
}

// yearOrClock reads "2026 01:34:48", "2026:01:34:48" or a clock without a year.
func (s *Stamp) yearOrClock(b []byte, i int) int {
	if y, n := run(b, i); n == 4 {
		s.Year = int(y)
		return s.afterDate(b, i+4)
	}
	return s.clock(b, i)
}

// parseWord reads the layouts that begin with a weekday, a month or the level
// letter of klog.
func (s *Stamp) parseWord(b []byte) int {
	if digit(b[1]) {
		return s.klog(b)
	}
	i := weekday(b, 0)
	if d, n := two(b, i); i > 0 && n > 0 { // Sat, 21 Nov 2026 01:34:48 GMT
		j := i + n
		if c := at(b, j); c == ' ' || c == '-' {
			if m, k := month(b, j+1); k > 0 && at(b, j+1+k) == c {
				s.Day, s.Month = d, m
				return s.yearOrClock(b, j+2+k)
			}
		}
		return 0
	}
	m, n := month(b, i)
	if n == 0 || at(b, i+n) != ' ' {
		return 0
	}
	s.Month = m
	i = spaces(b, i+n)
	if s.Day, n = two(b, i); n == 0 {
		return 0
	}
	i += n
	if at(b, i) == ',' {
		i++
	}
	if at(b, i) != ' ' {
		return 0
	}
	i++
	// Nov 21 2026 01:34:48, Nov 21 01:34:48, and with the year at the end.
	end := s.yearOrClock(b, i)
	if end > 0 && s.Year == 0 && at(b, end) == ' ' {
		if y, n := run(b, end+1); n == 4 && y >= 1970 && y < 2200 && !digit(at(b, end+5)) && at(b, end+5) != ':' {
			s.Year = int(y)
			end += 5
			if !s.HasZone {
				end = s.zone(b, end)
			}
		}
	}
	return end
}

// klog reads I1121 01:34:48.123456.
func (s *Stamp) klog(b []byte) int {
	switch b[0] {
	case 'I', 'W', 'E', 'F':
	default:
		return 0
	}
	v, n := run(b, 1)
	if n != 4 || at(b, 5) != ' ' {
		return 0
	}
	s.Month, s.Day = int(v/100), int(v%100)
	return s.clock(b, 6)
}

// bareClock reads a clock without a date. The first bytes of a MAC address and
// numbers of devices, such as 0:21, look like one.
func (s *Stamp) bareClock(b []byte) int {
	s.Clock = true
	end := s.clock(b, 0)
	if end == len("0:21") || at(b, end) == ':' || letter(at(b, end)) || digit(at(b, end)) {
		return 0
	}
	return end
}

// clock reads 1:34:48, 01:34:48.123, 01:34, 1:34:48 AM, 下午1:34:48, 01时34分48秒
// and a zone after it.
func (s *Stamp) clock(b []byte, i int) int {
	half, k := halfOfDay(b, i)
	i = spaces(b, i+k)
	h, n := two(b, i)
	if n == 0 {
		return 0
	}
	s.Hour = h
	i += n
	switch {
	case at(b, i) == ':' || at(b, i) == '.' && digit(at(b, i+1)) && at(b, i+3) == '.':
		i++
	case han(b, i, hanHour) > 0:
		i += han(b, i, hanHour)
	default:
		return 0
	}
	if s.Min, n = two(b, i); n != 2 {
		return 0
	}
	i += n
	s.Precision = time.Minute
	switch {
	case at(b, i) == ':' || at(b, i) == '.' && digit(at(b, i+1)) && b[i-3] == '.':
		i++
		if s.Sec, n = two(b, i); n == 0 {
			return 0
		}
		s.Precision = time.Second
		i = s.fraction(b, i+n)
	case han(b, i, hanMinute) > 0:
		i += han(b, i, hanMinute)
		if sec, n := two(b, i); n > 0 && han(b, i+n, hanSecond) > 0 {
			s.Sec, s.Precision = sec, time.Second
			i += n + han(b, i+n, hanSecond)
		}
	}
	if k == 0 {
		if j := spaces(b, i); j < len(b) {
			if half, k = halfOfDay(b, j); k > 0 {
				i = j + k
			}
		}
	}
	if k > 0 {
		if s.Hour < 1 || s.Hour > 12 {
			return 0
		}
		s.Hour %= 12
		if half == 'p' {
			s.Hour += 12
		}
	}
	return s.zone(b, i)
}

// halfOfDay reads AM, PM, a.m. and the Chinese and Korean words.
func halfOfDay(b []byte, i int) (half byte, n int) {
	// A, P and the first bytes of the words in other scripts.
	switch c := at(b, i); {
	case c|0x20 == 'a', c|0x20 == 'p', c >= 0xc9:
	default:
		return 0, 0
	}
	for _, w := range halves {
		if prefix(b, i, w.text) && !letter(at(b, i+len(w.text))) {
			return w.half, len(w.text)
		}
	}
	return 0, 0
}

var halves = [...]struct {
	text string
	half byte
}{
	{"AM", 'a'}, {"PM", 'p'}, {"am", 'a'}, {"pm", 'p'}, {"a.m.", 'a'}, {"p.m.", 'p'}, {"A.M.", 'a'}, {"P.M.", 'p'},
	{"上午", 'a'}, {"下午", 'p'}, {"\xc9\xcf\xce\xe7", 'a'}, {"\xcf\xc2\xce\xe7", 'p'}, // in GB18030 too
	{"오전", 'a'}, {"오후", 'p'}, {"午前", 'a'}, {"午後", 'p'},
}

// fraction reads .123 or ,123 and returns the position after it.
func (s *Stamp) fraction(b []byte, i int) int {
	if c := at(b, i); c != '.' && c != ',' || !digit(at(b, i+1)) {
		return i
	}
	nano, scale, n := 0, int(time.Second), 0
	for digit(at(b, i+1+n)) {
		if n < 9 {
			scale /= 10
			nano = nano*10 + int(b[i+1+n]-'0')
		}
		n++
	}
	s.Nano, s.Precision = nano*scale, time.Duration(scale)
	return i + 1 + n
}
