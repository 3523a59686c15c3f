package main

import "runtime/debug"

// version is the module version of an installed binary, "devel" for one built
// from a working copy. It is part of the report, so it does not change with each
// commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || !release(info.Main.Version) {
		return "devel"
	}
	return info.Main.Version
}

// release reports whether a module version is a tag, as opposed to (devel) and
// the versions that the go command makes up from a commit.
func release(v string) bool {
	if len(v) < 2 || v[0] != 'v' {
		return false
	}
	for _, c := range v[1:] {
		if (c < '0' || c > '9') && c != '.' {
			return false
		}
	}
	return true
}
