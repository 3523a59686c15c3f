package stamp

// run counts digits from b[i] and returns their value, which is meaningful up to
// 18 of them.
func run(b []byte, i int) (v int64, n int) {
	for i+n < len(b) && b[i+n]-'0' <= 9 {
		v = v*10 + int64(b[i+n]-'0')
		if n++; n > 19 {
			return v, n
		}
	}
	return v, n
}

// two reads one or two digits.
func two(b []byte, i int) (v, n int) {
	if i >= len(b) || b[i]-'0' > 9 {
		return 0, 0
	}
	v, n = int(b[i]-'0'), 1
	if i+1 < len(b) && b[i+1]-'0' <= 9 {
		v, n = v*10+int(b[i+1]-'0'), 2
	}
	return v, n
}

func at(b []byte, i int) byte {
	if i < len(b) {
		return b[i]
	}
	return 0
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func digit(c byte) bool { return c-'0' <= 9 }

// prefix reports whether s stands at b[i].
func prefix(b []byte, i int, s string) bool {
	return len(b)-i >= len(s) && string(b[i:i+len(s)]) == s
}

// hanWord is a Chinese word of dates in UTF-8 and in GB18030. A line is not decoded
// for its stamp: ASCII is the same in both.
type hanWord struct{ utf8, gbk string }

var (
	hanYear   = hanWord{"年", "\xc4\xea"}
	hanMonth  = hanWord{"月", "\xd4\xc2"}
	hanDay    = hanWord{"日", "\xc8\xd5"}
	hanHour   = hanWord{"时", "\xca\xb1"}
	hanMinute = hanWord{"分", "\xb7\xd6"}
	hanSecond = hanWord{"秒", "\xc3\xeb"}
)

// han is the length of the word at b[i], zero if it does not stand there.
func han(b []byte, i int, w hanWord) int {
	switch {
	case prefix(b, i, w.utf8):
		return len(w.utf8)
	case prefix(b, i, w.gbk):
		return len(w.gbk)
	}
	return 0
}

// spaces skips blanks, among them the narrow one (U+202F) that newer ICU data puts
// before AM and PM, and the wide one that does not break (U+00A0).
func spaces(b []byte, i int) int {
	for {
		switch {
		case at(b, i) == ' ':
			i++
		case prefix(b, i, "\u202f"):
			i += len("\u202f")
		case prefix(b, i, "\u00a0"):
			i += len("\u00a0")
		default:
			return i
		}
	}
}

// month reads an English month name or its first three letters.
func month(b []byte, i int) (m, n int) {
	if len(b)-i < 3 {
		return 0, 0
	}
	for k, name := range monthNames {
		if b[i]|0x20 != name[0]|0x20 || b[i+1]|0x20 != name[1] || b[i+2]|0x20 != name[2] {
			continue
		}
		n := 3
		for n < len(name) && i+n < len(b) && b[i+n]|0x20 == name[n] {
			n++
		}
		if n != 3 && n != len(name) && !(n == 4 && k == 8) || letter(at(b, i+n)) {
			return 0, 0
		}
		return k + 1, n
	}
	return 0, 0
}

var monthNames = [...]string{
	"January", "February", "March", "April", "May", "June",
	"July", "August", "September", "October", "November", "December",
}

// weekday skips "Sat ", "Sat, " or "Saturday, ".
func weekday(b []byte, i int) int {
	if len(b)-i < 4 {
		return i
	}
	for _, name := range weekdayNames {
		if b[i]|0x20 != name[0]|0x20 || b[i+1]|0x20 != name[1] || b[i+2]|0x20 != name[2] {
			continue
		}
		n := 3
		for n < len(name) && i+n < len(b) && b[i+n]|0x20 == name[n] {
			n++
		}
		if n != 3 && n != len(name) {
			return i
		}
		if at(b, i+n) == ',' {
			n++
		}
		if at(b, i+n) == ' ' {
			return i + n + 1
		}
		return i
	}
	return i
}

var weekdayNames = [...]string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}
