package naming

import "testing"

func TestDate(t *testing.T) {
	for name, want := range map[string]string{
		"logs/app-2026-11-21.log": "2026-11-21", "messages-20261121": "2026-11-21", "shop.log.2026_11_21": "2026-11-21", "2026.11.21/x.log": "",
		"app-2026-13-21.log": "", "a-2026-11-21-to-2026-11-22.log": "", "20261121-093000.log": "2026-11-21", "pid-120261121.log": "", "app.log": "",
	} {
		got := ""
		if d := Date(name); !d.IsZero() {
			got = d.Format("2006-01-02")
		}
		if got != want {
			t.Errorf("Date(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestPID(t *testing.T) {
	for name, want := range map[string]int{
		"limits_3286.txt":              3286,
		"host-a/limits_3286_after.txt": 3286,
		"procio_29986_2.txt":           29986,
		"proc/3286/limits":             3286,
		"proc/3286/task/3287/status":   3287,
		"status-pid412.txt":            412,
		"limits.txt":                   0,
		"sysctl_net.txt":               0,
		"limits_3286_3290.txt":         0,
		"limits_99999999.txt":          0,
	} {
		if got := PID(name); got != want {
			t.Errorf("PID(%q) = %d, want %d", name, got, want)
		}
	}
}
