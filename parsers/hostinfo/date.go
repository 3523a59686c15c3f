package hostinfo

import (
	"strconv"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// dateForms are what `date` prints, with and without a language, and what people
// ask it to print. ZONE is where a zone stands; it is cut out before parsing,
// because the standard library takes an abbreviation that it does not know for UTC.
var dateForms = [...]string{
	"2006-01-02 15:04:05.999999999 ZONE",
	"2006-01-02T15:04:05.999999999ZONE",
	"2006-01-02T15:04:05,999999999ZONE",
	"2006-01-02 15:04:05.999999999ZONE",
	"Mon Jan _2 15:04:05 ZONE 2006",
	"Mon Jan _2 15:04:05 2006 ZONE",
	"Mon Jan _2 03:04:05 PM ZONE 2006",
	"Mon _2 Jan 2006 15:04:05 ZONE",
	"Mon _2 Jan 2006 03:04:05 PM ZONE",
	"Mon, _2 Jan 2006 15:04:05 ZONE",
	"Mon 2006-01-02 15:04:05 ZONE",
	"Mon _2 Jan 15:04:05 ZONE 2006",
	"2006/01/02 15:04:05 ZONE",
	"2006-01-02 15:04:05",
	"2006/01/02 15:04:05",
}

// parseDate reads a line that is a date and nothing else.
func parseDate(s string) (fact.HostInfo, bool) {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) < 15 || len(s) > 80 {
		return fact.HostInfo{}, false
	}
	if h, ok := formedDate(s); ok {
		return h, true
	}
	if plain := plainDate(s); plain != s {
		return formedDate(plain)
	}
	return fact.HostInfo{}, false
}

// formedDate reads a date in one of the known forms.
func formedDate(s string) (fact.HostInfo, bool) {
	words := strings.Fields(s)
	if n := len(words); n > 2 && strings.HasPrefix(words[n-1], "m=") { // Go's, with its monotonic clock
		words = words[:n-1]
		s = strings.Join(words, " ")
	}
	// "UTC +0000", "+0000 UTC": the number is surer than the name beside it.
	if n := len(words); n > 2 {
		if _, ok := zoneOffset(words[n-2]); ok && isZoneName(words[n-1]) && !isZoneName(words[n-2]) {
			words = words[:n-1]
			s = strings.Join(words, " ")
		}
	}
	if n := len(words); n > 2 {
		if _, ok := zoneOffset(words[n-1]); ok && isZoneName(words[n-2]) {
			s = strings.Join(append(words[:n-2:n-2], words[n-1]), " ")
		}
	}
	for _, form := range dateForms {
		if h, ok := parseForm(s, form); ok {
			return h, true
		}
	}
	return fact.HostInfo{}, false
}

// parseForm reads s in one form. Where the form has a zone, it is found as the
// word in that place, or as what stands behind the time without a blank.
func parseForm(s, form string) (fact.HostInfo, bool) {
	i := strings.Index(form, "ZONE")
	if i < 0 {
		t, err := time.Parse(form, s)
		return fact.HostInfo{Time: fact.Time{T: t, Basis: fact.LocalNoZone, Precision: time.Second}}, err == nil
	}
	zone, rest := "", ""
	if i > 0 && form[i-1] != ' ' {
		j := strings.LastIndexAny(s, "Z+-")
		if j < 10 {
			return fact.HostInfo{}, false
		}
		zone, rest = s[j:], s[:j]
		form = form[:i]
	} else {
		fields, forms := strings.Fields(s), strings.Fields(form)
		if len(fields) != len(forms) {
			return fact.HostInfo{}, false
		}
		for k, f := range forms {
			if f == "ZONE" {
				zone = fields[k]
				fields = append(fields[:k:k], fields[k+1:]...)
				forms = append(forms[:k:k], forms[k+1:]...)
				break
			}
		}
		rest, form = strings.Join(fields, " "), strings.ReplaceAll(strings.Join(forms, " "), "_2", "2")
	}
	t, err := time.Parse(form, rest)
	if err != nil {
		return fact.HostInfo{}, false
	}
	return dated(t, zone)
}

// dated is a local time with its zone; a zone name with more than one meaning
// leaves the offset unknown.
func dated(t time.Time, zone string) (fact.HostInfo, bool) {
	h := fact.HostInfo{Time: fact.Time{T: t, Basis: fact.LocalNoZone, Precision: time.Second}}
	if off, ok := zoneOffset(zone); ok {
		h.ZoneOffset = fact.Some(int64(off))
		h.Time.T = t.Add(-time.Duration(off) * time.Second)
		h.Time.Basis = fact.LocalZone
		return h, true
	}
	return h, isZoneName(zone)
}

// zones are abbreviations with one meaning. CST, IST, BST and others have several.
var zones = map[string]int{
	"UTC": 0, "GMT": 0, "Z": 0, "UCT": 0, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3, "MSK": 3,
	"JST": 9, "KST": 9, "HKT": 8, "SGT": 8, "PHT": 8, "WIB": 7, "ICT": 7,
	"EST": -5, "EDT": -4, "CDT": -5, "MDT": -6, "MST": -7, "PDT": -7, "PST": -8, "AKST": -9, "AKDT": -8, "HST": -10,
	"AEST": 10, "AEDT": 11, "AWST": 8, "NZST": 12, "NZDT": 13, "BRT": -3, "ART": -3, "SAST": 2,
}

// zoneOffset is seconds east of UTC for "+0800", "+08:00", "+08" or a name with
// one meaning.
func zoneOffset(z string) (int, bool) {
	if hours, ok := zones[z]; ok {
		return hours * 3600, true
	}
	if len(z) < 3 || z[0] != '+' && z[0] != '-' {
		return 0, false
	}
	d := strings.ReplaceAll(z[1:], ":", "")
	if len(d) != 2 && len(d) != 4 {
		return 0, false
	}
	n, err := strconv.Atoi(d)
	if err != nil {
		return 0, false
	}
	if len(d) == 2 {
		n *= 100
	}
	off := (n/100)*3600 + (n%100)*60
	if off > 14*3600 {
		return 0, false
	}
	if z[0] == '-' {
		off = -off
	}
	return off, true
}

func isZoneName(z string) bool {
	return len(z) >= 1 && len(z) <= 5 && strings.Trim(z, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// epochDate reads `date +%s`, with a fraction or in milliseconds.
func epochDate(s string) (fact.HostInfo, bool) {
	whole, _, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return fact.HostInfo{}, false
	}
	t := time.Unix(n, 0)
	switch {
	case n > 5e8 && n < 5e9:
	case n > 5e11 && n < 5e12:
		t = time.UnixMilli(n)
	default:
		return fact.HostInfo{}, false
	}
	return fact.HostInfo{Time: fact.Time{T: t.UTC(), Basis: fact.Epoch, Precision: time.Second}}, true
}
