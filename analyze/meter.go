package analyze

import (
	"io"
	"sync"
)

// meter adds up progress over artifacts that are read at the same time.
type meter struct {
	report      func(Progress)
	mu          sync.Mutex
	total, read int64
	counted     map[string]int64
}

func (m *meter) expect(in *Input) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if in.Size < 0 || m.total < 0 {
		m.total = -1
		return
	}
	m.total += in.Size
}

func (m *meter) add(path string, n int64) {
	if m.report == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.counted == nil {
		m.counted = map[string]int64{}
	}
	m.counted[path] += n
	m.read += n
	m.report(Progress{Stage: "read", Artifact: path, Done: m.read, Total: m.total})
}

// done corrects the sum for artifacts that were not read to the end or read twice.
func (m *meter) done(in *Input) {
	if m.report == nil || in.Size < 0 {
		return
	}
	m.mu.Lock()
	n := m.counted[in.Path]
	m.mu.Unlock()
	m.add(in.Path, in.Size-n)
}

// meterStep is how many bytes pass between two progress reports of one reader.
const meterStep = 1 << 20

type countedInput struct {
	m    *meter
	path string
	n    int64
}

type countedReader struct {
	io.ReadCloser
	c       *countedInput
	pending int64
}

func (r *countedReader) Read(b []byte) (int, error) {
	n, err := r.ReadCloser.Read(b)
	r.c.n += int64(n)
	r.pending += int64(n)
	if r.pending >= meterStep || err != nil {
		r.c.m.add(r.c.path, r.pending)
		r.pending = 0
	}
	return n, err
}
