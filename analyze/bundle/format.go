package bundle

import (
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
)

// format is what the first bytes of a file say it is.
type format int

const (
	plain format = iota
	isTar
	isZip
	isGzip
	isZstd
	isXz
	isBzip2
	isLz4
	unsupported // an archive that cannot be opened; see unsupportedName
)

// headSize is how much of a file detect sees: a tar header.
const headSize = 512

// magics are the signatures at the beginning of a file.
var magics = []struct {
	magic  string
	format format
}{
	{"\x1f\x8b\x08", isGzip},
	{"\x28\xb5\x2f\xfd", isZstd},
	{"\xfd7zXZ\x00", isXz},
	{"\x04\x22\x4d\x18", isLz4},
	{"\x02\x21\x4c\x18", isLz4}, // the legacy frame
	{"PK\x03\x04", isZip},
	{"PK\x05\x06", isZip}, // an empty one
	{"7z\xbc\xaf\x27\x1c", unsupported},
	{"Rar!\x1a\x07", unsupported},
	{"\x1f\x9d", unsupported},
}

// detect says what a file is, by its beginning. The name only excludes: programs
// and documents that happen to be zip files are no archives to look into.
func detect(head []byte, name string) format {
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			if m.format == isZip && packedProgram(name) {
				return plain
			}
			return m.format
		}
	}
	switch {
	case len(head) >= 10 && string(head[:3]) == "BZh" && head[3] >= '1' && head[3] <= '9' &&
		(string(head[4:10]) == "1AY&SY" || string(head[4:10]) == "\x17\x72\x45\x38\x50\x90"):
		return isBzip2
	case isTarHeader(head):
		return isTar
	}
	return plain
}

func packedProgram(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".jar", ".war", ".ear", ".apk", ".whl", ".egg", ".docx", ".xlsx", ".pptx", ".odt", ".ods":
		return true
	}
	return false
}

// isTarHeader checks the header's sum, which holds for every dialect; the word
// "ustar" alone occurs in texts about tar.
func isTarHeader(head []byte) bool {
	if len(head) < headSize || head[0] == 0 {
		return false
	}
	want, err := strconv.ParseUint(strings.Trim(string(head[148:156]), " \x00"), 8, 32)
	if err != nil {
		return false
	}
	var sum uint64
	for i, c := range head[:headSize] {
		if i >= 148 && i < 156 {
			c = ' '
		}
		sum += uint64(c)
	}
	return sum == want
}

// unsupportedName names an archive format that cannot be opened.
func unsupportedName(head []byte) string {
	switch head[0] {
	case '7':
		return "a 7-Zip archive"
	case 'R':
		return "a RAR archive"
	}
	return "a file packed by compress(1)"
}

// decompressor opens a compressed stream. Close frees what it holds, not r.
func decompressor(f format, r io.Reader) (io.ReadCloser, error) {
	switch f {
	case isGzip:
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		return gzipReader{z}, nil
	case isZstd:
		// One thread measured faster than several; overlap comes from readAhead.
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(512<<20))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		return z.IOReadCloser(), nil
	case isXz:
		z, err := xz.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("xz: %w", err)
		}
		return io.NopCloser(z), nil
	case isBzip2:
		return io.NopCloser(bzip2.NewReader(r)), nil
	case isLz4:
		return io.NopCloser(lz4.NewReader(r)), nil
	}
	return nil, errors.New("not a compressed stream")
}

// gzipReader ignores what follows the last member, as gzip(1) does: archives on
// tape and some uploads are padded.
type gzipReader struct{ *gzip.Reader }

func (g gzipReader) Read(b []byte) (int, error) {
	n, err := g.Reader.Read(b)
	if errors.Is(err, gzip.ErrHeader) {
		err = io.EOF
	}
	return n, err
}
