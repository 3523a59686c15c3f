package naming

import "testing"

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
