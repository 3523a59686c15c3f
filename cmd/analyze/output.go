package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/culprit-dev/culprit/analyze"
)

// writeOut writes to a file, or to stdout if path is empty. The file appears
// whole or not at all: it is written beside its place and renamed.
func writeOut(path string, stdout io.Writer, write func(io.Writer) error) error {
	if path == "" {
		w := bufio.NewWriter(stdout)
		if err := write(w); err != nil {
			return err
		}
		return w.Flush()
	}
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		return writeDevice(path, write)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".analyze-*")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	defer os.Remove(f.Name()) // fails after the rename, as it should
	defer f.Close()
	w := bufio.NewWriter(f)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := f.Chmod(0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// writeDevice writes to what is no regular file, such as /dev/stderr or a pipe:
// renaming would replace it.
func writeDevice(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	if err := write(w); err != nil {
		return err
	}
	return w.Flush()
}

// warn tells what was not read in full, in one line: the report has the details.
func (s *settings) warn(artifacts []analyze.ArtifactStatus) {
	counts := map[string]int{}
	for _, a := range artifacts {
		counts[a.Status]++
	}
	bad := counts[analyze.ArtifactFailed] + counts[analyze.ArtifactPartial] + counts[analyze.ArtifactSkipped]
	if bad > 0 {
		fmt.Fprintf(s.stderr, "analyze: %d of %d artifacts were not read in full: %d partial, %d failed, %d skipped\n",
			bad, len(artifacts), counts[analyze.ArtifactPartial], counts[analyze.ArtifactFailed], counts[analyze.ArtifactSkipped])
	}
}
