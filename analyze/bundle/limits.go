package bundle

import (
	"fmt"

	"github.com/culprit-dev/culprit/analyze"
)

// Limits bound what opening a bundle may use. A zero field takes the default,
// never "unlimited".
type Limits struct {
	// Entries is how many files are looked at, in archives and directories.
	Entries int
	// Bytes bounds what is unpacked in total, EntryBytes what of one entry.
	Bytes      int64
	EntryBytes int64
	// Ratio is the highest compression ratio of an archive or entry that unpacks
	// to more than RatioBytes. Below that none is suspicious: the log of an idle
	// service, or a sparse file, easily packs 1000:1.
	Ratio      int
	RatioBytes int64
	// Depth is how deep archives and compressed files may be nested.
	Depth int
	// MemoryBytes is how much of small entries is kept in memory.
	MemoryBytes int64
}

// DefaultLimits returns the limits that zero fields take.
func DefaultLimits() Limits {
	return Limits{
		Entries:     20_000,
		Bytes:       64 << 30,
		EntryBytes:  32 << 30,
		Ratio:       250,
		RatioBytes:  1 << 30,
		Depth:       4,
		MemoryBytes: 32 << 20,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	set(&l.Entries, d.Entries)
	set(&l.Bytes, d.Bytes)
	set(&l.EntryBytes, d.EntryBytes)
	set(&l.Ratio, d.Ratio)
	set(&l.RatioBytes, d.RatioBytes)
	set(&l.Depth, d.Depth)
	set(&l.MemoryBytes, d.MemoryBytes)
	return l
}

func set[T int | int64](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// limitError is a limit that was hit; its message names the flag that raises it.
func limitError(format string, args ...any) error {
	return fmt.Errorf(format+" (%w)", append(args, analyze.ErrLimit)...)
}

// inUnits prints a number of bytes for people.
func inUnits(n int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		switch {
		case n >= u.size && n%u.size == 0:
			return fmt.Sprintf("%d %s", n/u.size, u.name)
		case n >= u.size:
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.size), u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
