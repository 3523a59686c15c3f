package fact

// Baseline is something that a healthy bundle of the same system holds: a listener,
// a peer, so many sockets, goroutines or open files. Its position is in that
// bundle; the artifact's name begins with "baseline:".
type Baseline struct {
	At Ref `json:"-"`
	// What is listener, peer, upstream, sockets, process, memory, open_files,
	// goroutines, lock, version, setting or limit. The one without a name and an
	// owner counts all of them.
	What string `json:"what"`
	Name string `json:"name,omitempty"`
	// Of is the program or the service that it belongs to.
	Of   string `json:"of,omitempty"`
	Host string `json:"host,omitempty"`
	// N is how many; Value what a version or setting says, or who holds a listener.
	N     int64  `json:"n,omitempty"`
	Value string `json:"value,omitempty"`
	Time
}

// Kind is "baseline".
func (Baseline) Kind() Kind { return "baseline" }

// Ref is a place in the baseline that shows it.
func (b Baseline) Ref() Ref { return b.At }

// Deviation is a difference between the bundle and its baseline.
type Deviation struct {
	// At is the place in the bundle; for what is missing the table that lacks it.
	At Ref `json:"-"`
	// BaselineAt is the place in the baseline, unset for what appeared.
	BaselineAt Ref `json:"-"`
	// How is appeared, vanished, grew, shrank or changed.
	How string `json:"how"`
	// What, Name, Of and Host are as in Baseline.
	What string `json:"what"`
	Name string `json:"name,omitempty"`
	Of   string `json:"of,omitempty"`
	Host string `json:"host,omitempty"`
	// Before and After are counts, ValueBefore and ValueAfter what a version or a
	// setting says, or who holds a listener.
	Before      int64  `json:"before"`
	After       int64  `json:"after"`
	ValueBefore string `json:"value_before,omitempty"`
	ValueAfter  string `json:"value_after,omitempty"`
}

// Kind is "deviation".
func (Deviation) Kind() Kind { return "deviation" }

// Ref is the place in the bundle.
func (d Deviation) Ref() Ref { return d.At }
