package analyze

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAppendPlain(t *testing.T) {
	for in, want := range map[string]string{
		"ESTAB":                    "ESTAB",
		"\x1b[1;32mESTAB\x1b[0m 0": "ESTAB 0",
		"\x1b]0;title\x07$ ss":     "$ ss",
		"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\":                    "link",
		"\x1b(Bplain\x1b)0":                                           "plain",
		"init(1)\x1b(0\x0fqwq\x1b(Bsh(9)\n \x1b(0\x0fmq\x1b(Bquux(7)": "init(1)-+-sh(9)\n `-quux(7)",
		"cut\x1b[1;3":       "cut",
		"cut\x1b":           "cut",
		"\x1b[2\ttext":      "\ttext",
		"\x1b]no end\nnext": "\nnext",
		"\x1b=keys":         "keys",
	} {
		require.Equal(t, want, string(AppendPlain(nil, []byte(in))), "%q", in)
	}
}
