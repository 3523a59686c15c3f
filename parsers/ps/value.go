package ps

import (
	"strconv"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

func dash(s string) string {
	if s == "-" {
		return ""
	}
	return s
}

func number(s string) fact.Int {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return fact.Int{}
	}
	return fact.Some(n)
}

func float(s string) fact.Opt[float64] {
	s = strings.TrimSuffix(strings.ReplaceAll(s, ",", "."), "%")
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return fact.Opt[float64]{}
	}
	return fact.Some(v)
}

// size reads kB; top and BusyBox shorten with a letter: 1.2g, 45m.
func size(s string) fact.Int {
	if s == "" || s == "-" {
		return fact.Int{}
	}
	unit := 1.0
	switch s[len(s)-1] {
	case 'k', 'K':
	case 'm', 'M':
		unit = 1 << 10
	case 'g', 'G':
		unit = 1 << 20
	case 't', 'T':
		unit = 1 << 30
	default:
		return number(s)
	}
	v := float(s[:len(s)-1])
	if !v.Known {
		return fact.Int{}
	}
	return fact.Some(int64(v.V * unit))
}

// duration reads [[days-]hours:]minutes:seconds[.hundredths] in milliseconds. A
// bare number is in seconds where the column allows it (etimes).
func duration(s string, bare bool) fact.Int {
	if s == "" {
		return fact.Int{}
	}
	if isNumber(s) {
		if !bare {
			return fact.Int{}
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n > 1<<40 {
			return fact.Int{}
		}
		return fact.Some(n * 1000)
	}
	var days int64
	if d, rest, ok := strings.Cut(s, "-"); ok {
		n, err := strconv.ParseInt(d, 10, 32)
		if err != nil {
			return fact.Int{}
		}
		days, s = n, rest
	}
	parts := strings.Split(s, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return fact.Int{}
	}
	sec, err := strconv.ParseFloat(parts[len(parts)-1], 64)
	if err != nil || sec < 0 || sec >= 1e9 {
		return fact.Int{}
	}
	ms := int64(sec*1000 + 0.5)
	unit := int64(60_000)
	for i := len(parts) - 2; i >= 0; i-- {
		n, err := strconv.ParseInt(parts[i], 10, 32)
		if err != nil || n < 0 {
			return fact.Int{}
		}
		ms += n * unit
		unit *= 60
	}
	return fact.Some(ms + days*86_400_000)
}

// started reads the full date of lstart.
func started(s string) fact.Time {
	if len(s) < 20 {
		return fact.Time{}
	}
	for _, layout := range []string{"Mon Jan 2 15:04:05 2006", "Mon 2 Jan 15:04:05 2006"} {
		if t, err := time.Parse(layout, s); err == nil {
			return fact.Time{T: t, Basis: fact.LocalNoZone, Precision: time.Second}
		}
	}
	return fact.Time{}
}

// undraw takes the tree drawing off a command and says how deep it was:
//
//	" |   \_ node app.js" is 2 deep; "    sshd" (ps -H) as well.
func undraw(s string) (command string, depth int) {
	if i := strings.Index(s, "\\_ "); i >= 0 && strings.Trim(s[:i], " |") == "" {
		return s[i+3:], (i+1)/4 + 1
	}
	trimmed := strings.TrimLeft(s, " ")
	return trimmed, (len(s) - len(trimmed)) / 2
}
