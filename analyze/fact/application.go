package fact

import "strings"

// Application reports whether a Go frame is the program's own code or a library's
// rather than the standard library's or the runtime's. Standard packages have no
// dot in the first element of their path, and neither has main.
func (f Frame) Application() bool {
	pkg := f.Func
	if i := strings.LastIndexByte(pkg, '/'); i >= 0 {
		if j := strings.IndexByte(pkg[i:], '.'); j >= 0 {
			pkg = pkg[:i+j]
		}
	} else if j := strings.IndexByte(pkg, '.'); j >= 0 {
		pkg = pkg[:j]
	}
	if strings.HasPrefix(pkg, "golang.org/x/") {
		return false // errgroup, singleflight, http2: the standard library's other half
	}
	first, _, _ := strings.Cut(pkg, "/")
	if first == "main" || strings.Contains(first, ".") {
		return true
	}
	// A module without a dot in its name ("example/store") is told by its file:
	// the standard library's stand below .../src/ of the Go root, or, with
	// -trimpath, begin with the package's own path.
	return f.File != "" && !strings.Contains(f.File, "/go/src/"+pkg+"/") && !strings.HasPrefix(f.File, pkg+"/") && !strings.Contains(f.File, "/libexec/src/"+pkg+"/") && !standard[first]
}

// standard are the first elements of the standard library's package paths.
var standard = map[string]bool{
	"archive": true, "bufio": true, "builtin": true, "bytes": true, "cmp": true, "compress": true, "container": true,
	"context": true, "crypto": true, "database": true, "debug": true, "embed": true, "encoding": true, "errors": true,
	"expvar": true, "flag": true, "fmt": true, "go": true, "hash": true, "html": true, "image": true, "index": true,
	"internal": true, "io": true, "iter": true, "log": true, "maps": true, "math": true, "mime": true, "net": true,
	"os": true, "path": true, "plugin": true, "reflect": true, "regexp": true, "runtime": true, "slices": true,
	"sort": true, "strconv": true, "strings": true, "structs": true, "sync": true, "syscall": true, "testing": true,
	"text": true, "time": true, "unicode": true, "unique": true, "unsafe": true, "weak": true, "vendor": true,
}
