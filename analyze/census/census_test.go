package census_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/analyzetest"
	"github.com/culprit-dev/culprit/analyze/census"
	"github.com/culprit-dev/culprit/parsers"
)

const ss = `State      Recv-Q Send-Q Local Address:Port   Peer Address:Port Process
LISTEN     0      128    0.0.0.0:7700         0.0.0.0:*     users:(("quotepushd",pid=%[1]d,fd=3))
ESTAB      0      0      10.0.0.2:7700        10.0.0.5:%[2]d users:(("quotepushd",pid=%[1]d,fd=5))
ESTAB      0      0      10.0.0.2:7700        10.0.0.5:%[3]d users:(("quotepushd",pid=%[1]d,fd=6))
ESTAB      0      0      10.0.0.2:%[4]d       10.0.0.9:5432 users:(("quotepushd",pid=%[1]d,fd=7))
CLOSE-WAIT 1      0      10.0.0.2:%[5]d       10.0.0.9:5432 users:(("quotepushd",pid=%[1]d,fd=8))
`

func counts(t *testing.T, files map[string]string) []analyze.Count {
	t.Helper()
	var inputs []*analyze.Input
	for name, text := range files {
		inputs = append(inputs, analyzetest.Input(name, []byte(text)))
	}
	res, err := analyze.Run(t.Context(), inputs, analyze.Config{Parsers: parsers.All(), Census: census.Of})
	require.NoError(t, err)
	return res.Census
}

func lines(list []analyze.Count) []string {
	var out []string
	for _, c := range list {
		if c.Name != "" || c.Of != "" {
			out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s of %s: %d %s", c.What, c.Name, c.Of, c.N, c.Value)))
		}
	}
	return out
}

func TestNamesOutliveARestart(t *testing.T) {
	before := counts(t, map[string]string{"ss.txt": fmt.Sprintf(ss, 100, 40001, 40002, 40003, 40004)})
	assert.Equal(t, []string{
		"listener 0.0.0.0:7700/tcp of : 1 quotepushd",
		"peer 10.0.0.5 of 10.0.0.2:7700: 2",
		"sockets CLOSE_WAIT of quotepushd: 1",
		"sockets ESTABLISHED of quotepushd: 3",
		"upstream 10.0.0.9:5432 of quotepushd: 1",
	}, lines(before))
	after := counts(t, map[string]string{"tables/ss_tanp.txt": fmt.Sprintf(ss, 28311, 50001, 50002, 50003, 50004)})
	assert.Empty(t, analyze.Deviations(before, after, analyze.Tolerance{Factor: 1, Least: 1}), "only pids and ephemeral ports differ")
}

func TestOnlyWhatBothShowIsCompared(t *testing.T) {
	table := fmt.Sprintf(ss, 100, 40001, 40002, 40003, 40004)
	before := counts(t, map[string]string{"ss.txt": table, "goroutines.txt": "goroutine 7 [chan receive]:\nmain.wait()\n\t/src/main.go:3 +0x1d\ncreated by main.main in goroutine 1\n\t/src/main.go:9 +0x1d\n"})
	after := counts(t, map[string]string{"ss.txt": strings.ReplaceAll(table, "LISTEN     0      128    0.0.0.0:7700", "LISTEN     0      128    0.0.0.0:7701")})
	var got []string
	for _, d := range analyze.Deviations(before, after, analyze.DefaultTolerance()) {
		got = append(got, d.How+" "+d.Count().What+" "+d.Count().Name)
	}
	assert.Contains(t, got, "vanished listener 0.0.0.0:7700/tcp")
	assert.Contains(t, got, "appeared listener 0.0.0.0:7701/tcp")
	assert.NotContains(t, strings.Join(got, "\n"), "goroutines", "the later bundle has no dump")
}
