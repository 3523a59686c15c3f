package join

import "fmt"

// Count is a number with its noun: "1 flow", "3 flows"; many is the plural where it
// is not one with an s.
func Count[N int | int64](n N, one string, many ...string) string {
	switch {
	case n == 1:
		return "1 " + one
	case len(many) > 0:
		return fmt.Sprintf("%d %s", n, many[0])
	}
	return fmt.Sprintf("%d %ss", n, one)
}
