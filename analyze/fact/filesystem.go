package fact

// Filesystem is one row of df: how full a mounted file system is.
type Filesystem struct {
	At     Ref    `json:"-"`
	Device string `json:"device"`
	Type   string `json:"type,omitempty"`
	Mount  string `json:"mount"`
	// Size, Used and Available are as printed: "252G", "87530708", a count of inodes.
	Size      string `json:"size"`
	Used      string `json:"used"`
	Available string `json:"available"`
	// UsePercent is the share that is used, rounded up.
	UsePercent int64 `json:"use_percent"`
	// Inodes is true for a table of inodes (-i) in place of space.
	Inodes bool `json:"inodes,omitempty"`
}

// Kind is "filesystem".
func (Filesystem) Kind() Kind { return "filesystem" }

// Ref is the row.
func (f Filesystem) Ref() Ref { return f.At }
