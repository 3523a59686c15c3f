package goroutine

import (
	"path"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// about is what stacks reveal of the program.
type about struct {
	version string // of Go
	mainDir string // where main.main stands
	pkg     string // a package of the program
}

// with adds what a frame reveals.
func (a about) with(f fact.Frame) about {
	if a.version == "" && strings.Contains(f.File, "/src/runtime/") {
		a.version = goVersion(f.File)
	}
	if f.Func == "main.main" && strings.ContainsRune(f.File, '/') {
		a.mainDir = path.Dir(f.File)
	} else if a.pkg == "" {
		// Only import paths with a dot in their first element are surely not of the
		// standard library.
		if pkg := packageOf(f.Func); strings.Contains(strings.SplitN(pkg, "/", 2)[0], ".") {
			a.pkg = pkg
		}
	}
	return a
}

// packageOf is the import path of a function.
func packageOf(fn string) string {
	slash := strings.LastIndexByte(fn, '/') + 1
	if dot := strings.IndexByte(fn[slash:], '.'); dot >= 0 {
		return fn[:slash+dot]
	}
	return fn
}

// goVersion finds the version in the path of the runtime's sources:
// /go1.22.1/src/, go/1.15.6/libexec/src, toolchain@v0.0.1-go1.16.15.linux-amd64.
func goVersion(file string) string {
	root, _, _ := strings.Cut(file, "/src/runtime/")
	for {
		i := strings.Index(root, "go")
		if i < 0 {
			return ""
		}
		root = strings.TrimPrefix(root[i+2:], "/")
		end := 0
		for end < len(root) && (root[end] >= '0' && root[end] <= '9' || root[end] == '.') {
			end++
		}
		v := strings.TrimRight(root[:end], ".")
		if major, _, ok := strings.Cut(v, "."); ok && major == "1" {
			return v
		}
	}
}
