package applog

import (
	"fmt"
	"io"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
)

// embed hands over the dumps of goroutines that stand in the log.
func (m *merger) embed(out *analyze.Sink) {
	in := out.Input()
	for i, d := range m.sections {
		if d.offset == 0 && (!m.l.stamped || strings.Contains(in.Path, "!")) {
			continue // all of the artifact: its own parser had its chance
		}
		name := "goroutines"
		if i > 0 {
			name = fmt.Sprintf("goroutines%d", i+1)
		}
		out.Embed(&analyze.Input{
			Path: in.Path + "!" + name, Size: d.length, ModTime: in.ModTime, Host: in.Host,
			Note: fmt.Sprintf("from line %d of the log", d.line+1),
			Open: func() (io.ReadCloser, error) { return openSection(in, d) },
		})
	}
}

// openSection reads one part of the log.
func openSection(in *analyze.Input, d section) (io.ReadCloser, error) {
	r, err := in.Open()
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, r, d.offset); err != nil {
		r.Close()
		return nil, fmt.Errorf("open section: %w", err)
	}
	return &sectionReader{Reader: io.LimitReader(r, d.length), Closer: r}, nil
}

type sectionReader struct {
	io.Reader
	io.Closer
}
