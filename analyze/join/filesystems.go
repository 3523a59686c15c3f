package join

import (
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// FullFilesystems are the file systems of a host that have no block or no inode left,
// but for images, which are full by design.
func FullFilesystems(p *analyze.Pass, host string) (out []*fact.Filesystem) {
	h := HostsOf(p)
	for fs := range fact.All[fact.Filesystem](p.Facts) {
		image := strings.HasPrefix(fs.Device, "/dev/loop") || strings.HasPrefix(fs.Mount, "/snap/") || slices.Contains([]string{"squashfs", "iso9660", "erofs"}, fs.Type)
		if fs.UsePercent >= 100 && !image && h.Of(fs.At) == host {
			out = append(out, fs)
		}
	}
	return out
}

// CiteFull is the row of a full file system as evidence.
func CiteFull(fs *fact.Filesystem) analyze.Evidence {
	of := "blocks"
	if fs.Inodes {
		of = "inodes"
	}
	return analyze.Cite(fs.At, "all %s of %s (%s) are used", of, fs.Mount, fs.Device)
}
