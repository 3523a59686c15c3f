package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"golang.org/x/term"

	"github.com/culprit-dev/culprit/analyze"
)

// meter shows how far a run is, one bar a stage, and takes it off the screen at
// the end. The zero meter shows nothing.
type meter struct {
	out   io.Writer // nil for silence
	begin time.Time

	mu     sync.Mutex
	writer progress.Writer // nil until there is something to show
	bars   map[string]*progress.Tracker
	ended  chan struct{}
}

// patience is how long a run may take without a bar: most are over by then.
const patience = 400 * time.Millisecond

// progress starts a meter, silent unless stderr is a terminal.
func (s *settings) progress() *meter {
	if s.noProgress || !isTerminal(s.stderr) {
		return &meter{}
	}
	return &meter{out: s.stderr, begin: time.Now(), bars: map[string]*progress.Tracker{}}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// show implements analyze.Config.Progress.
func (m *meter) show(p analyze.Progress) {
	if m.out == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.writer == nil {
		if time.Since(m.begin) < patience {
			return
		}
		m.start()
	}
	bar := m.bars[p.Stage]
	if bar == nil {
		bar = &progress.Tracker{Message: p.Stage}
		if p.Stage == "read" {
			bar.Units = progress.UnitsBytes
		}
		m.bars[p.Stage] = bar
		m.writer.AppendTracker(bar)
	}
	// The total grows while a bundle is being unpacked, so a bar is not done before
	// the end.
	bar.UpdateTotal(max(p.Total, p.Done+1))
	bar.SetValue(p.Done)
	bar.UpdateMessage(pace(p, time.Since(m.begin)))
}

// pace is the stage, for reading with its rate and the time that is left. The library
// would count from when its bar came up.
func pace(p analyze.Progress, since time.Duration) string {
	if p.Stage != "read" || p.Done <= 0 || since <= 0 {
		return p.Stage
	}
	rate := float64(p.Done) / since.Seconds()
	text := fmt.Sprintf("%s at %s/s", p.Stage, progress.FormatBytes(int64(rate)))
	if p.Total > p.Done {
		left := time.Duration(float64(p.Total-p.Done) / rate * float64(time.Second))
		text += fmt.Sprintf(", %v left", max(left.Round(time.Second), time.Second))
	}
	return text
}

func (m *meter) start() {
	m.writer = progress.NewWriter()
	m.writer.SetOutputWriter(m.out)
	m.writer.SetUpdateFrequency(100 * time.Millisecond)
	m.writer.SetTrackerLength(30)
	m.writer.Style().Visibility.Time = false
	m.ended = make(chan struct{})
	go func() {
		defer close(m.ended)
		m.writer.Render()
	}()
}

// stop takes the bars off the screen.
func (m *meter) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.writer == nil {
		return
	}
	for _, bar := range m.bars {
		bar.MarkAsDone()
	}
	m.writer.Stop()
	<-m.ended
	// A finished bar stays as a line. (Bars that remove themselves are miscounted
	// by the library and scroll.)
	fmt.Fprint(m.out, strings.Repeat("\x1b[A\x1b[K", len(m.bars)))
}
