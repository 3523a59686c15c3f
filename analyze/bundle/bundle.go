package bundle

import (
	"context"
	"errors"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
)

// Options say how to open a bundle. The zero value is usable.
type Options struct {
	// Stdin is read for the argument "-".
	Stdin io.Reader
	// TempDir is where large entries are unpacked, "" for the system's directory.
	TempDir string
	Limits  Limits
	// Sum computes Bundle.SHA256 in the background. It reads every file once more.
	Sum bool
}

// Bundle is a bundle that is open or being opened. Its inputs can be opened until
// Close.
type Bundle struct {
	// Name is the base name of the argument, "stdin" for a stream.
	Name string
	// Inputs are in the order of the archives and directories; paths are unique.
	Inputs []*analyze.Input
	// Manifest is what culprit.yaml says, nil without one.
	Manifest *analyze.Manifest
	// ManifestErr says why a culprit.yaml could not be used; the bundle is open
	// all the same.
	ManifestErr error

	args    []string
	opt     Options
	spool   *spool
	closers []io.Closer
	sum     *summer
}

// New is a bundle of archives, directories, files or "-" that Source will open.
func New(args []string, opt Options) *Bundle {
	b := &Bundle{args: args, opt: opt, spool: &spool{dir: opt.TempDir}, sum: newSummer(opt.Sum)}
	if len(args) > 0 {
		b.Name = bundleName(args)
	}
	return b
}

// Open opens a bundle and returns when all its inputs are there. It fails when an
// argument cannot be opened at all and when ctx ends. What goes wrong with an
// entry is said by that entry's Input.Err or Input.Note. The caller closes the
// bundle.
func Open(ctx context.Context, args []string, opt Options) (*Bundle, error) {
	b := New(args, opt)
	if err := b.open(ctx, nil); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// Source opens a bundle of New while a run reads it already: it is an
// analyze.Source. A large entry of a compressed archive is read while it is being
// unpacked. The fields of the bundle are set when it returns. It is called once.
func (b *Bundle) Source(ctx context.Context, yield func(...*analyze.Input)) (*analyze.Manifest, error) {
	early := map[*analyze.Input]bool{}
	err := b.open(ctx, func(in *analyze.Input) {
		early[in] = true
		yield(in)
	})
	if err != nil {
		return nil, err
	}
	yield(slices.DeleteFunc(slices.Clone(b.Inputs), func(in *analyze.Input) bool { return early[in] })...)
	return b.Manifest, nil
}

// open fills the bundle. early, if not nil, is called with inputs that can be
// read although they still grow.
func (b *Bundle) open(ctx context.Context, early func(*analyze.Input)) error {
	if len(b.args) == 0 {
		return errors.New("open bundle: no file named")
	}
	o := newOpener(ctx, b, early)
	for _, a := range arguments(b.args) {
		if err := o.argument(a); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	o.manifest()
	b.sum.start(ctx)
	return nil
}

// SHA256 identifies the content: for one file (an archive too) and for a stream
// it is the hash of its bytes; for directories and several files it is the hash
// of what `sha256sum` prints for all files in the order of their paths. It waits
// for the end of the computation and is "" if Options.Sum was not set.
func (b *Bundle) SHA256() string { return b.sum.wait() }

// Close ends background work and removes what was unpacked. Inputs must not be
// read any more.
func (b *Bundle) Close() error {
	b.sum.stop()
	var errs []error
	for _, c := range b.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(append(errs, b.spool.close())...)
}

// bundleName is what the report calls the bundle.
func bundleName(args []string) string {
	first := baseName(args[0])
	if len(args) > 1 {
		return first + " and others"
	}
	return first
}

// argument is one command line argument and the label of what it holds.
type argument struct {
	arg string
	// label names the file itself. below is the folder in which its entries
	// appear, "" for a single argument.
	label, below string
}

// arguments labels arguments so that no two collide: by base name, or where
// these are equal, by as much of the path as tells them apart.
func arguments(args []string) []argument {
	out := make([]argument, len(args))
	if len(args) == 1 {
		out[0] = argument{arg: args[0], label: baseName(args[0])}
		return out
	}
	count := map[string]int{}
	for _, a := range args {
		count[baseName(a)]++
	}
	stems := map[string]int{}
	for i, a := range args {
		label := baseName(a)
		if count[label] > 1 && a != "-" {
			label = cleanName(a)
		}
		out[i] = argument{arg: a, label: label, below: stem(label)}
		stems[stem(label)]++
	}
	for i := range out {
		if stems[out[i].below] > 1 {
			out[i].below = out[i].label
		}
	}
	return out
}

// baseName is the label of an argument.
func baseName(arg string) string {
	if arg == "-" {
		return "stdin"
	}
	if abs, err := filepath.Abs(arg); err == nil {
		arg = abs // what "." and ".." are called
	}
	return path.Base(cleanName(filepath.ToSlash(arg)))
}

// stem is an archive's name without the endings that say how it is packed.
func stem(name string) string {
	for _, ext := range []string{".gz", ".tgz", ".zst", ".xz", ".bz2", ".lz4", ".tar", ".zip", ".tzst", ".txz", ".tbz2"} {
		if s, ok := strings.CutSuffix(name, ext); ok && s != "" {
			return strings.TrimSuffix(s, ".tar")
		}
	}
	return name
}
