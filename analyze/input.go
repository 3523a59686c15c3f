package analyze

import (
	"io"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Input is one artifact that can be opened again and again. Package bundle makes
// inputs from archives, directories and streams; a library user may make them
// from anything.
type Input struct {
	// Path is the name within the bundle, with slashes; it is the artifact's
	// identity in the report and must be unique in a run.
	Path string
	// Size in bytes after decompression, or -1 if unknown.
	Size int64
	// ModTime is the time the archive or the file system gives, zero if unknown.
	ModTime time.Time
	// Open starts a new read from the beginning. It must be safe to call while
	// another reader of the same input is open.
	Open func() (io.ReadCloser, error)
	// Parser forces the parser of that name, "" lets the content decide.
	Parser string
	// Host is the host that a manifest names for it, "" otherwise.
	Host string
	// Err is set for an entry that could not be made readable (a link, a device, a
	// bomb); the report lists it with that reason and nobody opens it.
	Err error
	// Note is a remark on how it was opened, for the report.
	Note string
}

// ID is the artifact's identity.
func (in *Input) ID() fact.ID { return fact.ID(in.Path) }
