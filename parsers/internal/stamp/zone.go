package stamp

// zone reads what follows a clock: Z, +08:00, +0800, " +0800", " UTC",
// " GMT+0800". Without one it returns i.
func (s *Stamp) zone(b []byte, i int) int {
	j := i
	if at(b, j) == ' ' {
		j++
	}
	switch c := at(b, j); {
	case c == 'Z' && j == i && !letter(at(b, j+1)):
		s.HasZone = true
		return j + 1
	case c == '+' || c == '-':
		if off, n := offset(b, j, j == i); n > 0 {
			s.Zone, s.HasZone = off, true
			return j + n
		}
	case c >= 'A' && c <= 'Z':
		n := 1
		for at(b, j+n) >= 'A' && at(b, j+n) <= 'Z' {
			n++
		}
		if letter(at(b, j+n)) || digit(at(b, j+n)) {
			return i
		}
		for _, z := range zones {
			if string(b[j:j+n]) != z.name {
				continue
			}
			s.Zone, s.HasZone = z.hours*3600+z.minutes*60, true
			if off, k := offset(b, j+n, false); k > 0 && z.hours == 0 {
				s.Zone = off
				n += k
			}
			return j + n
		}
	}
	return i
}

// offset reads +hh:mm or +hhmm, and +hh where nothing but the clock precedes it.
func offset(b []byte, i int, short bool) (sec, n int) {
	sign := 1
	switch at(b, i) {
	case '-':
		sign = -1
	case '+':
	default:
		return 0, 0
	}
	v, k := run(b, i+1)
	switch {
	case k == 4 && v%100 < 60 && v/100 <= 14:
		return sign * int(v/100*3600+v%100*60), 5
	case k == 2 && v <= 14 && at(b, i+3) == ':':
		if m, mk := two(b, i+4); mk == 2 && m < 60 && !digit(at(b, i+6)) {
			return sign * (int(v)*3600 + m*60), 6
		}
	case k == 2 && short && v <= 14:
		return sign * int(v) * 3600, 3
	}
	return 0, 0
}

// zones are abbreviations with one meaning; CST, IST, BST and the like have
// several and count as no zone.
var zones = [...]struct {
	name           string
	hours, minutes int
}{
	{"UTC", 0, 0}, {"GMT", 0, 0}, {"WET", 0, 0}, {"CET", 1, 0}, {"CEST", 2, 0}, {"EET", 2, 0}, {"EEST", 3, 0},
	{"MSK", 3, 0}, {"JST", 9, 0}, {"KST", 9, 0}, {"HKT", 8, 0}, {"SGT", 8, 0}, {"NZST", 12, 0}, {"NZDT", 13, 0},
	{"EST", -5, 0}, {"EDT", -4, 0}, {"CDT", -5, 0}, {"MDT", -6, 0}, {"PST", -8, 0}, {"PDT", -7, 0},
	{"AEST", 10, 0}, {"AEDT", 11, 0}, {"ACST", 9, 30},
}
