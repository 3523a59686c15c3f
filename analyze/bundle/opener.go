package bundle

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/culprit-dev/culprit/analyze"
)

// opener fills a bundle. It works on one entry at a time.
type opener struct {
	ctx    context.Context
	limits Limits
	b      *Bundle
	early  func(*analyze.Input)
	names  *names

	entries  int   // looked at so far
	stored   int64 // bytes unpacked so far
	inMemory int64 // of these, bytes kept in memory
	buf      []byte
	full     bool // no entry is taken any more
}

func newOpener(ctx context.Context, b *Bundle, early func(*analyze.Input)) *opener {
	return &opener{ctx: ctx, limits: b.opt.Limits.withDefaults(), names: newNames(), b: b, early: early}
}

// entry is a file on its way to become inputs.
type entry struct {
	path string // its label, not yet unique
	// members is put before the labels of what an archive holds: "inner.zip!" for
	// one in an archive, a folder or nothing for an argument.
	members string
	time    time.Time
	depth   int    // archives around it
	layers  int    // times the file itself is compressed
	note    string // for the report
}

// inner is an entry of the archive e.
func (e entry) inner(name string, t time.Time) entry {
	path := e.members + cleanName(name)
	in := entry{path: path, members: path + "!", time: t, depth: e.depth + 1}
	if unsafeName(name) {
		in.note = fmt.Sprintf("named %.200q in the archive", name)
	}
	return in
}

// errFull ends everything: no more entries are taken.
var errFull = errors.New("the bundle is full")

// count counts an entry and checks what ends the whole job.
func (o *opener) count() error {
	if err := o.ctx.Err(); err != nil {
		return err
	}
	if o.full {
		return errFull
	}
	if o.entries++; o.entries > o.limits.Entries {
		o.full = true
		o.reject(entry{path: "(rest)"}, limitError("what follows the first %d entries was not read, see --max-entries", o.limits.Entries))
		return errFull
	}
	return nil
}

// leaf adds an input.
func (o *opener) leaf(e entry, c *content) *analyze.Input {
	return o.add(e, &analyze.Input{Size: c.size, Open: c.open})
}

// reject adds an input that cannot be read, with the reason.
func (o *opener) reject(e entry, err error) {
	o.add(e, &analyze.Input{Err: err})
}

func (o *opener) add(e entry, in *analyze.Input) *analyze.Input {
	in.Path, in.ModTime, in.Note = o.names.unique(e.path), e.time, e.note
	if in.Path != e.path {
		in.Note = fmt.Sprintf("the bundle holds several entries named %q", e.path)
	}
	o.b.Inputs = append(o.b.Inputs, in)
	return in
}

// cut adds what is missing of an entry or an archive, unless the job was ended
// from outside.
func (o *opener) cut(e entry, err error) error {
	if ctxErr := o.ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	if errors.Is(err, errFull) {
		return err
	}
	o.reject(entry{path: e.path + " (rest)", time: e.time}, err)
	return nil
}

// argument opens one argument of the command line. A panic of a library that
// unpacks ends this argument, not the run.
func (o *opener) argument(a argument) (err error) {
	e := entry{path: a.label}
	defer func() {
		if v := recover(); v != nil {
			err = ended(o.cut(e, fmt.Errorf("unpacking panicked: %v", v)))
		}
	}()
	if a.below != "" {
		e.members = a.below + "/"
	} else {
		o.b.sum.whole = true
	}
	if a.arg == "-" {
		if o.b.opt.Stdin == nil {
			return errors.New("open bundle: no standard input")
		}
		return o.piped(e, o.b.opt.Stdin)
	}
	st, err := os.Stat(a.arg)
	if err != nil {
		return fmt.Errorf("open bundle: %w", err)
	}
	if st.IsDir() {
		o.b.sum.whole = false
		return o.directory(e, a.arg)
	}
	f, err := os.Open(a.arg)
	if err != nil {
		return fmt.Errorf("open bundle: %w", err)
	}
	o.b.closers = append(o.b.closers, f)
	e.time = st.ModTime()
	if !st.Mode().IsRegular() {
		return o.piped(e, f)
	}
	o.b.sum.file(e.path, func() (io.ReadCloser, error) { return os.Open(a.arg) })
	if o.b.sum.whole {
		o.b.sum.start(o.ctx)
	}
	return ended(o.file(e, f, st.Size()))
}

// piped opens a stream that can be read once.
func (o *opener) piped(e entry, r io.Reader) error {
	r = o.b.sum.stream(e.path, r)
	if err := ended(o.stream(e, r, -1)); err != nil {
		return err
	}
	// What follows an archive's end belongs to the hash, and a writer should not
	// die of a closed pipe.
	_ = o.copy(io.Discard, r, o.limits.Bytes)
	return nil
}

// ended drops the error that only means: enough.
func ended(err error) error {
	if errors.Is(err, errFull) {
		return nil
	}
	return err
}

// file opens a file that can be read anywhere: content that is there already.
func (o *opener) file(e entry, at io.ReaderAt, size int64) error {
	head := make([]byte, headSize)
	n, err := at.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		o.reject(e, fmt.Errorf("read: %w", err))
		return nil
	}
	section := io.NewSectionReader(at, 0, size)
	switch f := detect(head[:n], e.path); f {
	case plain:
		o.leaf(e, &content{ReaderAt: at, size: size})
		return nil
	case isTar:
		return o.tar(e, section, at)
	case isZip:
		return o.zip(e, at, size)
	case unsupported:
		return o.packed(e, head)
	default:
		return o.compressed(e, f, section, size)
	}
}

// stream opens a file that can be read once. announced is its size if a header
// claims one, else -1.
func (o *opener) stream(e entry, r io.Reader, announced int64) error {
	br := bufio.NewReaderSize(r, headSize)
	head, err := br.Peek(headSize)
	if err != nil && !errors.Is(err, io.EOF) && len(head) == 0 {
		o.reject(e, err)
		return nil
	}
	switch f := detect(head, e.path); f {
	case plain:
		return o.keep(e, br, announced)
	case isTar:
		return o.tar(e, br, nil)
	case isZip:
		// A zip archive's list stands at its end.
		c, err := o.store(br, announced, nil)
		if err != nil {
			o.reject(e, err)
			return nil
		}
		if c.tail != nil {
			if err := o.cut(e, c.tail); err != nil {
				return err
			}
		}
		return o.zip(e, c, c.size)
	case unsupported:
		return o.packed(e, head)
	default:
		return o.compressed(e, f, br, announced)
	}
}

// keep stores a plain file.
func (o *opener) keep(e entry, r io.Reader, announced int64) error {
	var growing func(*content)
	given := false
	if o.early != nil {
		growing = func(c *content) {
			given = true
			o.early(o.leaf(e, c))
		}
	}
	c, err := o.store(r, announced, growing)
	switch {
	case err != nil && given:
		return o.cut(e, err)
	case err != nil:
		o.reject(e, err)
		return nil
	case !given:
		o.leaf(e, c)
	}
	if c.tail != nil {
		return o.cut(e, c.tail)
	}
	return nil
}

// tooDeep lists an archive in an archive in an archive.
func (o *opener) tooDeep(e entry) error {
	o.reject(e, limitError("nested more than %d deep, see --max-depth", o.limits.Depth))
	return nil
}

// packed lists an archive that cannot be opened.
func (o *opener) packed(e entry, head []byte) error {
	o.reject(e, fmt.Errorf("%s: unpack it and analyse the directory, or pack it as tar or zip", unsupportedName(head)))
	return nil
}

// compressed opens what is inside a compressed file of a size, -1 if unknown; it
// keeps the file's name.
func (o *opener) compressed(e entry, f format, r io.Reader, size int64) error {
	if e.layers++; e.layers > o.limits.Depth {
		return o.tooDeep(e)
	}
	in := &counted{r: r}
	z, err := decompressor(f, in)
	if err != nil {
		o.reject(e, err)
		return nil
	}
	safe := &guarded{r: z, in: func() int64 { return in.n }, max: o.limits}
	if size >= 0 && size < aheadFrom {
		defer z.Close() // only repeats what a read said
		return o.stream(e, safe, -1)
	}
	ahead := readAhead(o.ctx, safe)
	err = o.stream(e, ahead, -1)
	if ahead.stop() { // else the decompressor is still in use
		_ = z.Close()
	}
	return err
}

// aheadFrom is the compressed size from which a goroutine of its own pays.
const aheadFrom = 256 << 10

// kindOf names what is neither a file nor a directory.
func kindOf(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "a symbolic link"
	case m&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "no regular file"
}
