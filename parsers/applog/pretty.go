package applog

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/culprit-dev/culprit/analyze"
)

// A log of JSON objects may have been printed for people, each over several lines:
// `journalctl -o json-pretty`, `... | jq .`. Its events are read one a line.

// maxObject bounds one object.
const maxObject = 4 << 20

// prettyObjects reports whether a text is several objects over several lines of
// which the first is a logger's.
func prettyObjects(head []byte) bool {
	if len(head) < 2 || head[0] != '{' || head[1] != '\n' && head[1] != '\r' {
		return false
	}
	dec := json.NewDecoder(bytes.NewReader(head))
	var raw json.RawMessage
	var line bytes.Buffer
	if dec.Decode(&raw) != nil || json.Compact(&line, raw) != nil || !jsonLog(line.Bytes()) {
		return false
	}
	next := bytes.TrimSpace(head[dec.InputOffset():])
	return len(next) > 0 && next[0] == '{'
}

// embedPretty hands over the objects one a line.
func embedPretty(in *analyze.Input, out *analyze.Sink) {
	out.Embed(&analyze.Input{
		Path: in.Path + "!objects", Size: -1, ModTime: in.ModTime, Host: in.Host,
		Note: "objects over several lines, here one a line",
		Open: func() (io.ReadCloser, error) {
			f, err := in.Open()
			if err != nil {
				return nil, err
			}
			src := &io.LimitedReader{R: f}
			return &objectReader{Closer: f, src: src, dec: json.NewDecoder(src)}, nil
		},
	})
}

// objectReader yields each object of a stream as a line. It ends where the stream
// is no JSON, or an object too long.
type objectReader struct {
	io.Closer
	src  *io.LimitedReader
	dec  *json.Decoder
	line bytes.Buffer
}

func (o *objectReader) Read(b []byte) (int, error) {
	for o.line.Len() == 0 {
		o.src.N = maxObject
		var raw json.RawMessage
		if o.dec.Decode(&raw) != nil || json.Compact(&o.line, raw) != nil {
			return 0, io.EOF
		}
		o.line.WriteByte('\n')
	}
	return o.line.Read(b)
}
