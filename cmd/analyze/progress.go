package main

import (
	"io"
	"os"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"golang.org/x/term"

	"github.com/culprit-dev/culprit/analyze"
)

// meter shows how far a run is. The zero meter shows nothing.
type meter struct {
	writer progress.Writer

	mu    sync.Mutex
	bars  map[string]*progress.Tracker
	ended chan struct{}
}

// progress starts a meter, silent unless stderr is a terminal.
func (s *settings) progress() *meter {
	if s.noProgress || !isTerminal(s.stderr) {
		return &meter{}
	}
	w := progress.NewWriter()
	w.SetOutputWriter(s.stderr)
	w.SetAutoStop(false)
	w.SetUpdateFrequency(100 * time.Millisecond)
	w.SetTrackerLength(30)
	w.SetMessageLength(16)
	w.Style().Visibility.ETA = true
	m := &meter{writer: w, bars: map[string]*progress.Tracker{}, ended: make(chan struct{})}
	go func() {
		defer close(m.ended)
		w.Render()
	}()
	return m
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// show implements analyze.Config.Progress.
func (m *meter) show(p analyze.Progress) {
	if m.writer == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	bar := m.bars[p.Stage]
	if bar == nil {
		bar = &progress.Tracker{Message: p.Stage, Total: max(p.Total, 0)}
		if p.Stage == "read" {
			bar.Units = progress.UnitsBytes
		}
		m.bars[p.Stage] = bar
		m.writer.AppendTracker(bar)
	}
	bar.SetValue(p.Done)
}

// stop takes the bars off the screen.
func (m *meter) stop() {
	if m.writer == nil {
		return
	}
	m.mu.Lock()
	for _, bar := range m.bars {
		bar.MarkAsDone()
	}
	m.mu.Unlock()
	m.writer.Stop()
	<-m.ended
}
