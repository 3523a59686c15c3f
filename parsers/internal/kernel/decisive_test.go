package kernel_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/culprit-dev/culprit/parsers/internal/kernel"
)

func TestBracketed(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       bool
	}{
		{"ctime", "[Mon Mar  2 08:15:01 2026] java invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0\n[Mon Mar  2 08:15:01 2026] Mem-Info:\n", true},
		{"uptime", "[  812.000100] eth0: link up\n[  813.250000] importer[812]: segfault at 0 ip 0000000000401136 sp 00007ffd error 6\n", true},
		{"raw", "<4>[  812.000100] CPU: 0 PID: 9 Comm: x Not tainted 6.1.0 #1\n<4>[  812.000101] Call Trace:\n", true},
		{"program", "[Mon Mar  2 08:15:01 2026] worker up\n[Mon Mar  2 08:15:02 2026] out of memory, retrying\n", false},
		{"syslog", "Mar  2 08:15:01 web kernel: [  812.000100] Call Trace:\n", false},
		{"quoted", "2026-03-02T08:15:01Z INFO saw [ 1.000000] Call Trace:\nnext\n", false},
		{"one of many", "plain\nplain\nplain\n[  812.000100] Call Trace:\n", false},
		{"empty", "", false},
	} {
		assert.Equal(t, c.want, kernel.Bracketed([]byte(c.text)), c.name)
	}
}
