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
		"curl -u admin:letmein9 https://x/":       "curl -u admin:secret-1 https://host-1/",
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

// TestNamesThatOnlyLogsState: no table shows these; the lines say where a name stands,
// and the same name alone in another line is the same.
func TestNamesThatOnlyLogsState(t *testing.T) {
	lines := []string{
		`ERROR login failed user=wanda.k from 81.2.69.160`, `ERROR {"username":"jorge","host":"edge-fr-12","msg":"denied"}`,
		`WARN uid=1000(petra) may not write`, `ERROR dial tcp: lookup ledger on 10.1.1.1:53: no such host`,
		`ERROR getaddrinfo ENOTFOUND billing.prod.acme.systems`, `WARN upstream=cache-eu-3 timed out`, `ERROR connect db-primary-2:5432 ETIMEDOUT`,
		`INFO GET https://portal.acme.shop/v1/orders?session=Zk81x&customer=Dupond`, `WARN amqp://svcpay:pw@queue/orders closed`,
		`ERROR key dG9rZW4x9ZkQ2bXJ5aB7cD1eF0 refused`, `WARN edge-fr-12 is gone, cache-eu-3 too, says jorge`,
	}
	hide := replacement(lines...)
	var got []string
	for _, l := range lines {
		got = append(got, hide(l))
	}
	all := strings.Join(got, "\n")
	for _, name := range []string{"wanda", "jorge", "petra", "edge-fr", "acme", "cache-eu", "db-primary", "Dupond", "Zk81x", "svcpay", "queue", "dG9r", "ledger", "billing"} {
		assert.NotContains(t, strings.ToLower(all), strings.ToLower(name))
	}
	assert.Regexp(t, `^WARN host-\d+ is gone, host-\d+ too, says user-\d+$`, got[10])
	assert.Contains(t, got[7], "/v1/orders?session=", "the path and the keys stay")
	for _, s := range []string{
		"goroutine 18 at main.go:120 waits for worker 3", "http://HOST:PORT/debug/pprof/goroutine?debug=2", "node app.js --port=8080 type=area",
		"user: unknown", "from step 12", "peer closed the connection", "CryptoMiner2ServerHandlesRequests", "TestHTTP2ServerWithLongName1",
		"http://localhost:6060/debug/pprof/goroutine?debug=2", "signal=15 code=128", "pid=4189 fd=17",
	} {
		assert.Equal(t, s, replacement(s)(s))
	}
}
