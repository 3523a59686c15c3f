package parsers_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers"
)

// TestInsights reads the samples of insights-core, each with all parsers: every
// table must be claimed by the parser of its format, and the rows found must be the
// rows that stand in the file.
func TestInsights(t *testing.T) {
	files, _ := filepath.Glob("../../shared/corpora/insights/*/*.txt")
	if len(files) == 0 {
		t.Skip("no corpus of samples beside the repository")
	}
	for _, file := range files {
		folder := filepath.Base(filepath.Dir(file))
		if strings.HasPrefix(folder, "insights_parsers_") {
			continue // their documentation, with prose around the samples
		}
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		name := folder + "/" + filepath.Base(file)
		want, kind, rows := expected(name, content)
		got := readOne(t, name, content)
		status := got.Artifacts[0]
		if want == "" {
			require.Contains(t, []string{"", "applog"}, status.Parser, "%s is no table", name)
			continue
		}
		require.Equal(t, want, status.Parser, name)
		switch found := got.Store.Count(kind); {
		case rows >= 0:
			require.Equal(t, rows, found, "%s of %s", kind, name)
		default:
			require.NotZero(t, got.Store.Count(kind), "%s of %s", kind, name)
		}
	}
}

func readOne(t *testing.T, name string, content []byte) *analyze.Facts {
	t.Helper()
	in := &analyze.Input{Path: filepath.Base(name), Size: int64(len(content)), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }}
	got, err := analyze.Read(t.Context(), []*analyze.Input{in}, analyze.Config{Parsers: parsers.All(), Jobs: 1})
	require.NoError(t, err)
	return got
}

var socketRow = regexp.MustCompile(`^\s*(tcp|udp|unix|raw|u_str|u_dgr|u_seq|nl|p_raw|icmp)\S*\s+\S+`)

// expected says of a sample which parser it belongs to and how many rows of a kind
// it holds, -1 where the sample is counters or a log.
func expected(name string, content []byte) (parser string, kind fact.Kind, rows int) {
	var lines []string
	for line := range strings.Lines(string(content)) {
		if strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
	}
	below := func(header string) int {
		for i, line := range lines {
			if strings.Contains(line, header) {
				return len(lines) - i - 1
			}
		}
		return 0
	}
	folder, file, _ := strings.Cut(name, "/")
	switch {
	case file == "PsAuxcww_BAD.txt", strings.HasPrefix(file, "IP_S_LINK"), strings.HasPrefix(file, "INT_"), file == "TEST_NETSTAT_AGN.txt" && len(lines) == 0:
		return "", "", 0 // broken on purpose, or of a format that no rule needs
	case strings.HasSuffix(folder, "_ps"):
		return "ps", "process", below("PID")
	case strings.HasSuffix(folder, "lsof"):
		return "lsof", "open_file", below("COMMAND")
	case strings.HasSuffix(folder, "netstat"):
		for _, line := range lines {
			if socketRow.MatchString(line) {
				rows++
			}
		}
		switch {
		case rows > 0:
			return "sockets", "socket", rows
		case file == "TEST_NETSTAT_AGN.txt":
			return "netstats", "counter", 0
		}
		return "netstats", "counter", -1
	case strings.HasSuffix(folder, "meminfo"), strings.HasSuffix(folder, "sockstat"):
		return "netstats", "counter", -1
	case strings.HasSuffix(folder, "audit_log"):
		return "auditd", "audit_event", -1
	case file == "MSGINFO.txt" && strings.HasSuffix(folder, "dmesg"):
		return "", "", 0 // without stamps it is plain text
	case strings.Contains(folder, "dmesg"):
		return "kernlog", "log", -1
	}
	return "applog", "log", -1
}
