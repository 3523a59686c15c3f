package incidents_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// layouts are the trees of collectors that people already run, and the names that
// they give to what stands in these bundles.
var layouts = map[string]func(name string) string{
	"sosreport": func(name string) string {
		const root = "sosreport-web-1-2026-11-21-abcdefg/"
		stem, _, _ := strings.Cut(name, ".")
		for _, n := range []struct{ prefix, path string }{
			{"ss_", "sos_commands/networking/ss_-peaonmi"}, {"netstat_", "sos_commands/networking/netstat_-W_-neopa"}, {"ps_", "sos_commands/process/ps_axjf"},
			{"lsof_", "sos_commands/process/lsof_M_-n_-l_-c"}, {"date", "sos_commands/date/date"}, {"uname", "sos_commands/kernel/uname_-a"},
			{"uptime", "sos_commands/host/uptime"}, {"free", "sos_commands/memory/free"}, {"sysctl_", "sos_commands/kernel/sysctl_-a"}, {"meminfo", "proc/meminfo"},
			{"sockstat", "proc/net/sockstat"}, {"audit", "var/log/audit/audit.log"},
		} {
			if strings.HasPrefix(name, n.prefix) {
				// Several tables of one tool are told apart by its other words.
				return root + n.path + strings.TrimPrefix(stem, strings.TrimSuffix(n.prefix, "_"))
			}
		}
		if strings.HasSuffix(name, ".log") {
			return root + "var/log/" + name
		}
		return root + "sos_strings/" + name
	},
	"support-bundle": func(name string) string {
		const root = "support-bundle-2026-11-21T02_44_13/"
		if strings.HasSuffix(name, ".log") {
			return root + "cluster-resources/pods/logs/shop/" + strings.TrimSuffix(name, ".log") + "-7d9f5c/" + name
		}
		return root + "host-collectors/run-host/" + name
	},
	"cluster-info dump": func(name string) string {
		const root = "cluster-info/"
		if pod, ok := strings.CutSuffix(name, ".log"); ok {
			return root + "shop/" + pod + "-7d9f5c/logs.txt"
		}
		return root + "host/" + name
	},
	"must-gather": func(name string) string {
		const root = "must-gather.local.123/quay-io-must-gather-sha256-0f/"
		if pod, ok := strings.CutSuffix(name, ".log"); ok {
			return root + "namespaces/shop/pods/" + pod + "-7d9f5c/" + pod + "/" + pod + "/logs/current.log"
		}
		return root + "host_service_logs/" + name
	},
}

// TestLayouts lays the incidents out as other collectors do: the story stays the
// same.
func TestLayouts(t *testing.T) {
	for _, dir := range []string{"socket-leak", "econnreset-unread", "hung-backend", "stale-peers"} {
		want := run(t, filepath.Join(dir, "bundle.tar.gz"))
		for layout, rename := range layouts {
			t.Run(dir+"/"+layout, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), layout+".tar")
				relocate(t, filepath.Join(dir, "bundle.tar.gz"), path, rename)
				got := run(t, path)
				require.Equal(t, want.Verdict.Status, got.Verdict.Status)
				require.NotEmpty(t, got.Verdict.RootCauses)
				require.Equal(t, want.Verdict.RootCauses[0], got.Verdict.RootCauses[0])
			})
		}
	}
}

// relocate copies an archive and gives its entries other names.
func relocate(t *testing.T, from, to string, rename func(string) string) {
	t.Helper()
	src, err := os.Open(from)
	require.NoError(t, err)
	defer src.Close()
	z, err := gzip.NewReader(src)
	require.NoError(t, err)
	dst, err := os.Create(to)
	require.NoError(t, err)
	defer dst.Close()
	w := tar.NewWriter(dst)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if h.Typeflag != tar.TypeReg {
			continue
		}
		h.Name = rename(strings.TrimPrefix(h.Name, "./"))
		require.NoError(t, w.WriteHeader(h))
		_, err = io.Copy(w, r)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
}
