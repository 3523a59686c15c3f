package redact_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/census"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/redact"
	"github.com/culprit-dev/culprit/analyze/rulecase"
	"github.com/culprit-dev/culprit/analyze/rules"
	"github.com/culprit-dev/culprit/parsers"
	"github.com/culprit-dev/culprit/report"
)

// The bundle holds every sort of token in files that findings cite: a leak of
// sockets, refused connections and a port that another program has.
var files = map[string]string{
	"push-eu-7/hist_mallory.txt": "#1795222328\nkill -9 812\n",
	"push-eu-7/hostname.txt":     "push-eu-7.acme-corp.com\n",
	"push-eu-7/ss.txt": `State      Recv-Q Send-Q Local Address:Port   Peer Address:Port Process
LISTEN     0      128    0.0.0.0:8080         0.0.0.0:*         users:(("hog",pid=77,fd=3))
` + strings.Repeat("CLOSE-WAIT 1      0      10.20.30.40:8080     81.2.69.142:40001 users:((\"broker\",pid=812,fd=11))\n", 60) +
		"ESTAB      0      0      [2a02:898:52::7]:8080 [fd12:3456::9]:40002 users:((\"broker\",pid=812,fd=99))\n",
	"push-eu-7/ps.txt": `USER         PID    PPID STAT COMMAND
root           1       0 Ss   /sbin/init
mallory      812       1 Sl   /opt/broker --db-password=hunter2secret99 --notify ops.team@acme-corp.com --bind 10.20.30.40:8080
mallory       77       1 S    /home/mallory/bin/hog --port=8080 --token abcd1234efgh5678
`,
	"push-eu-7/broker.log": `2026-11-21T00:00:00.000Z INFO broker starting on push-eu-7 pid=812
2026-11-21T00:00:01.000Z ERROR listen tcp 10.20.30.40:8080: bind: address already in use (EADDRINUSE) pid=812
2026-11-21T00:00:02.000Z ERROR connect ECONNREFUSED 81.2.69.142:5432 postgres://svc:pa55w0rd99@db-3.internal:5432/q as mallory
2026-11-21T00:00:03.000Z ERROR connect ECONNREFUSED 81.2.69.142:5432 postgres://svc:pa55w0rd99@db-3.internal:5432/q as mallory
2026-11-21T00:00:04.000Z ERROR connect ECONNREFUSED 81.2.69.142:5432 key hunter2secret99 for ops.team@acme-corp.com
`,
}

var originals = []string{
	"push-eu-7", "acme-corp", "10.20.30.40", "81.2.69.142", "2a02:898", "fd12:3456", "mallory", "hunter2", "ops.team",
	"abcd1234", "pa55w0rd", "db-3",
}

func run(t *testing.T, with func(*analyze.Pass, []string) func(string) string) *analyze.Result {
	t.Helper()
	var inputs []*analyze.Input
	for name, text := range files {
		inputs = append(inputs, rulecase.Input(name, []byte(text)))
	}
	res, err := analyze.Run(t.Context(), inputs, analyze.Config{
		Parsers: parsers.All(), Rules: rules.All(), Census: census.Of, Redact: with,
		Bundle: analyze.Bundle{Name: "push-eu-7.tar.gz"},
	})
	require.NoError(t, err)
	require.NotEmpty(t, res.Findings)
	return res
}

func encode(t *testing.T, enc report.Encoder, res *analyze.Result) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, enc.Encode(&b, res, report.Options{Full: true}))
	return b.String()
}

func TestNothingRemains(t *testing.T) {
	plain, hidden := run(t, nil), run(t, redact.New)
	all := ""
	for _, enc := range report.Encoders() {
		all += encode(t, enc, plain)
		text := encode(t, enc, hidden)
		for _, token := range originals {
			assert.NotContains(t, strings.ToLower(text), token, enc.Name)
		}
	}
	for _, token := range originals {
		assert.Contains(t, all, token, "the test needs it in the plain report")
	}
}

func TestPositionsAndStructureStay(t *testing.T) {
	plain, hidden := run(t, nil), run(t, redact.New)
	require.Len(t, hidden.Findings, len(plain.Findings))
	for i, f := range plain.Findings {
		h := hidden.Findings[i]
		assert.Equal(t, []any{f.Rule, f.Severity, f.Confidence, f.Role, len(f.Causes)}, []any{h.Rule, h.Severity, h.Confidence, h.Role, len(h.Causes)})
		for k, e := range f.Evidence {
			assert.Equal(t, []any{e.Line, e.Packet, e.Offset}, []any{h.Evidence[k].Line, h.Evidence[k].Packet, h.Evidence[k].Offset})
			assert.Equal(t, e.Excerpt == "", h.Evidence[k].Excerpt == "")
		}
	}
	_, err := report.Decode(strings.NewReader(encode(t, must(report.ByName("json")), hidden)))
	require.NoError(t, err, "references between findings still hold")
	text := encode(t, must(report.ByName("md")), hidden)
	assert.Regexp(t, `10\.255\.0\.\d+:8080`, text, "a private address stays private, its port stays")
	assert.Regexp(t, `198\.18\.0\.\d+:40001`, text)
	assert.Contains(t, text, "0.0.0.0:8080")
	assert.NotContains(t, text, "secret-3", "a secret at the end of a sentence is the same secret")
	assert.Len(t, unique(regexp.MustCompile(`198\.18\.\d+\.\d+`).FindAllString(text, -1)), 1, "equal addresses stay equal")
	assert.Equal(t, text, encode(t, must(report.ByName("md")), run(t, redact.New)), "the same bundle gives the same bytes")
}

func TestWhatStays(t *testing.T) {
	hide := replacement()
	for _, s := range []string{
		"main.serve(0xc000012345) /src/server.go:20 +0x1d", "github.com/acme/push.(*Hub).Publish", "2026-11-21T08:30:00.123Z", "08:30:00",
		"127.0.0.1:8124", "[::1]:80", "0.0.0.0:*", "java.net.SocketInputStream.read(SocketInputStream.java:150)", "getty@tty1.service",
		"unexpected token: {", "net.ipv4.tcp_keepalive_time = 7200", "example.com/x@v1.2.3",
	} {
		if strings.HasPrefix(s, "example.com") {
			assert.Equal(t, "host-1/x@v1.2.3", hide(s))
			continue
		}
		assert.Equal(t, s, hide(s))
	}
}

func TestSecrets(t *testing.T) {
	for in, want := range map[string]string{
		"mysqldump -h db -u root -pGeheim77 shop": "mysqldump -h db -u root -psecret-1 shop",
		"curl -u admin:letmein9 https://x/":       "curl -u admin:secret-1 https://x/",
		"Authorization: Bearer abcdefgh.ijkl":     "Authorization: Bearer secret-1",
		`{"password": "swordfish", "n": 1}`:       `{"password": "secret-1", "n": 1}`,
		"DB_PASSWORD=word env":                    "DB_PASSWORD=secret-1 env",
		"--password true":                         "--password true",
		"saddr=02001F900A141E280000000000000000":  "saddr=secret-1",
		"sl 0: 0A141E28:1F90 00000000:0000":       "sl 0: secret-1:1F90 secret-2:0000",
	} {
		assert.Equal(t, want, replacement(in)(in))
	}
}

// replacement is what replaces text in a result of these texts, over no facts.
func replacement(texts ...string) func(string) string {
	d := &analyze.Derived[func(string) string]{Name: "test", Build: func(p *analyze.Pass) func(string) string { return redact.New(p, texts) }}
	return analyze.Derive(d, fact.Seal(nil), nil)
}

func must(e report.Encoder, _ bool) report.Encoder { return e }

func unique(list []string) map[string]bool {
	out := map[string]bool{}
	for _, s := range list {
		out[s] = true
	}
	return out
}
