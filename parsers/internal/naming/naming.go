// Package naming reads what the name of an artifact says about its contents.
// Some files of /proc do not say which process they are of; their names do.
package naming

import (
	"path"
	"strconv"
	"strings"
	"time"
)

// maxPID is the largest pid that Linux hands out (2^22).
const maxPID = 4194304

// PID is the pid in an artifact's name, zero if there is none or more than one:
// limits_3286.txt, procio-29986.txt, proc/3286/limits, 3286.status. A number that
// is part of a word (ps_axjf_1's sample number is one word, t0 is none) counts only
// when it stands alone; sample numbers of one digit do not count beside another.
func PID(name string) int {
	base := path.Base(strings.ReplaceAll(name, "!", "/"))
	if pid := one(base); pid != 0 {
		return pid
	}
	dir := path.Dir(name)
	for i := 0; i < 3 && dir != "." && dir != "/"; i++ {
		if n, err := strconv.Atoi(path.Base(dir)); err == nil && n > 0 && n <= maxPID {
			return n
		}
		dir = path.Dir(dir)
	}
	return 0
}

func one(base string) int {
	pid := 0
	for _, w := range strings.FieldsFunc(base, func(r rune) bool { return r == '_' || r == '-' || r == '.' || r == ' ' || r == '/' }) {
		w = strings.TrimPrefix(strings.ToLower(w), "pid")
		n, err := strconv.Atoi(w)
		if err != nil || n <= 0 || n > maxPID {
			continue
		}
		switch {
		case pid == 0, pid < 10 && n >= 10:
			pid = n
		case n >= 10:
			return 0
		}
	}
	return pid
}

// Date is the date in an artifact's name, zero if there is none or more than one:
// app-2026-11-21.log, messages-20261121, shop.log.2026_11_21.
func Date(name string) time.Time {
	base := path.Base(strings.ReplaceAll(name, "!", "/"))
	var found time.Time
	for i := 0; i+8 <= len(base); i++ {
		if i > 0 && base[i-1]-'0' <= 9 {
			continue
		}
		for _, layout := range [...]string{"2006-01-02", "2006_01_02", "2006.01.02", "20060102"} {
			end := i + len(layout)
			if end > len(base) || end < len(base) && base[end]-'0' <= 9 {
				continue
			}
			t, err := time.Parse(layout, base[i:end])
			if err != nil || t.Year() < 1990 || t.Year() > 2100 {
				continue
			}
			if !found.IsZero() && !found.Equal(t) {
				return time.Time{}
			}
			found = t
		}
	}
	return found
}
