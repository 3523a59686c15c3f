package bundle

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/culprit-dev/culprit/analyze"
)

// directory opens the files below a directory. Links are not followed, and the
// files are opened through os.Root: what changes meanwhile cannot lead outside.
func (o *opener) directory(e entry, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open bundle: %w", err)
	}
	o.b.closers = append(o.b.closers, root)
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if name == "." || (d != nil && d.IsDir() && err == nil) {
			return err
		}
		if err := o.count(); err != nil {
			return err
		}
		in := entry{path: e.members + cleanName(name), depth: e.depth}
		in.members = in.path + "!"
		if err != nil {
			o.reject(in, err)
			return nil
		}
		return o.dirEntry(in, root, name, d)
	})
	if err != nil && o.ctx.Err() == nil && !errors.Is(err, errFull) {
		return fmt.Errorf("open bundle: %w", err)
	}
	return ended(err)
}

// dirEntry opens one file of a directory. It is opened again for each read: a
// directory may hold more files than a process may have open.
func (o *opener) dirEntry(e entry, root *os.Root, name string, d fs.DirEntry) error {
	if !d.Type().IsRegular() {
		o.reject(e, fmt.Errorf("%s: not read", kindOf(d.Type())))
		return nil
	}
	f, err := root.Open(name)
	if err != nil {
		o.reject(e, err)
		return nil
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s: not read", kindOf(st.Mode()))
	}
	if err != nil {
		o.reject(e, errors.Join(err, f.Close()))
		return nil
	}
	e.time = st.ModTime()
	open := func() (io.ReadCloser, error) { return root.Open(name) }
	o.b.sum.file(e.path, open)
	return o.reopened(e, f, st.Size(), open)
}

// reopened is file for a file that is closed unless parts of it are inputs.
func (o *opener) reopened(e entry, f *os.File, size int64, open func() (io.ReadCloser, error)) error {
	head := make([]byte, headSize)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		o.reject(e, errors.Join(err, f.Close()))
		return nil
	}
	if detect(head[:n], e.path) == plain {
		o.add(e, &analyze.Input{Size: size, Open: open})
		return f.Close()
	}
	o.b.closers = append(o.b.closers, f)
	return o.file(e, f, size)
}
