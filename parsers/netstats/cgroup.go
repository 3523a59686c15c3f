package netstats

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// cgroupName is the name of a control group file in a path: memory.stat,
// memory.failcnt, cpu.stat, pids.current. Collectors put words before it.
func cgroupName(file string) string {
	base := strings.TrimSuffix(path.Base(file), ".txt")
	for _, c := range [...]string{"memory.", "cpu.", "cpuacct.", "pids.", "io.", "blkio.", "cgroup."} {
		if i := strings.Index(base, c); i >= 0 && (i == 0 || !isLetter(base[i-1])) && len(base) > i+len(c) {
			return base[i:]
		}
	}
	return ""
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// cgroupKeys are keys that only one file of names and numbers has, for files whose
// own name says nothing.
var cgroupKeys = [...]struct {
	file string
	keys []string
}{
	{"memory.events", []string{"low", "high", "max", "oom", "oom_kill", "oom_group_kill"}},
	{"memory.oom_control", []string{"oom_kill_disable", "under_oom"}},
	{"memory.stat", []string{"anon", "file", "kernel_stack", "pagetables", "sock", "cache", "rss", "mapped_file", "rss_huge", "pgfault", "pgmajfault", "inactive_anon", "active_anon"}},
	{"cpu.stat", []string{"usage_usec", "user_usec", "system_usec", "nr_periods", "nr_throttled", "throttled_usec", "throttled_time"}},
}

// cgroupOf is the file that a key belongs to, "" if it is not known.
func cgroupOf(key string) string {
	for _, f := range cgroupKeys {
		if slices.Contains(f.keys, key) {
			return f.file
		}
	}
	return ""
}

// isKeyValue reports whether a line is "name number", a number, or max.
func isKeyValue(s string) bool {
	f := strings.Fields(s)
	if len(f) == 0 || len(f) > 12 {
		return false
	}
	last := f[len(f)-1]
	if _, v, ok := strings.Cut(last, "="); ok {
		last = v
	}
	_, err := strconv.ParseFloat(last, 64)
	return err == nil || last == "max"
}

// cgroup reads "oom_kill 1", a single number, "max", and io.stat's "8:0 rbytes=1".
func (p *reader) cgroup(s string, ref fact.Ref) bool {
	f := strings.Fields(s)
	if p.cgroupFile == "" {
		if p.cgroupFile = cgroupName(p.file); p.cgroupFile == "" {
			p.cgroupFile = cgroupOf(f[0])
		}
	}
	file := p.cgroupFile
	add := func(name, v string) bool {
		n, err := strconv.ParseInt(v, 10, 64)
		c := fact.Counter{At: ref, Source: "cgroup", Name: name, Value: n}
		if err != nil {
			c.Text = v
		}
		analyze.Emit(p.out, c)
		return true
	}
	switch {
	case len(f) == 1:
		return add(file, f[0])
	case strings.Contains(f[1], "="):
		for _, w := range f[1:] {
			k, v, _ := strings.Cut(w, "=")
			add(file+"."+f[0]+"."+k, v)
		}
		return true
	case len(f) == 2 && isLetter(f[0][0]):
		return add(file+"."+f[0], f[1])
	}
	return add(file, strings.Join(f, " "))
}
