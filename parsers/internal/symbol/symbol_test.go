package symbol_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/parsers/internal/symbol"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		line, fn, file string
		number         int
		ok             bool
	}{
		{"#\t0x66cfe4\tmain.query+0x64\t\t/src/main.go:23", "main.query", "/src/main.go", 23, true},
		{"#\t0x1\tmain.(*T[...]).m+0x1\tC:/src/x y/main.go:7", "main.(*T[...]).m", "C:/src/x y/main.go", 7, true},
		{"#\t0x48efa1", "", "", 0, true},
		{"# labels: {}", "", "", 0, false},
		{"#", "", "", 0, false},
	} {
		f, ok := symbol.Parse([]byte(c.line))
		require.Equal(t, c.ok, ok, c.line)
		require.Equal(t, c.fn, string(f.Func))
		require.Equal(t, c.file, string(f.File))
		require.Equal(t, c.number, f.Line)
	}
}
