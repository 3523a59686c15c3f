package kernlog_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/parsers/applog"
	"github.com/culprit-dev/culprit/parsers/kernlog"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, kernlog.Parser(), "testdata/*.txt") }

func FuzzParse(f *testing.F) { parsertest.Fuzz(f, kernlog.Parser(), "testdata/*.txt") }

func TestRobust(t *testing.T) { parsertest.Robust(t, kernlog.Parser(), "testdata/memcg.txt") }

// TestNames: what only the kernel says is the kernel's under any name, and what a
// program prints behind the same stamps is the program's.
func TestNames(t *testing.T) {
	oom := []byte("[Mon Mar  2 08:15:01 2026] java invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n" +
		"[Mon Mar  2 08:15:01 2026] Out of memory: Killed process 4711 (java) total-vm:812kB, anon-rss:400kB, file-rss:0kB, shmem-rss:0kB\n")
	program := []byte("[Mon Mar  2 08:15:01 2026] worker up\n[Mon Mar  2 08:15:02 2026] ERROR: out of memory\n")
	kern, app := kernlog.Parser().Sniff, applog.Parser().Sniff
	for _, name := range []string{"8.txt", "out (8).txt", "dm.log", "messages", "var/log/syslog"} {
		h := analyze.Head{Path: name, Size: int64(len(oom)), Bytes: oom}
		assert.Greater(t, kern(h), app(h), name)
		h = analyze.Head{Path: name, Size: int64(len(program)), Bytes: program}
		assert.Less(t, kern(h), analyze.Sure, name)
		assert.Positive(t, app(h), name)
	}
}
