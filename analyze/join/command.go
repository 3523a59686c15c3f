package join

import (
	"path"
	"strings"
)

// takesValue are options of interpreters whose value is the next word, and neither
// the script nor the main class: java -cp lib/a.jar Main, node -r ./hook app.js.
var takesValue = map[string]bool{
	"-cp": true, "-classpath": true, "--class-path": true, "--module-path": true, "--add-opens": true, "--add-exports": true,
	"--add-modules": true, "--add-reads": true, "-r": true, "--require": true, "--import": true, "--loader": true, "-W": true, "-X": true,
}

// scriptWord is what an interpreter runs: the first word of its arguments that is
// no option, as it stands there. code is true where the program itself is given
// (-c, -e); then word is that option. word is "" if there is none.
func scriptWord(args []string) (word string, code bool) {
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case takesValue[a]:
			i++
		case a == "-c" || a == "-e":
			return a, true
		case strings.HasPrefix(a, "-"):
		default:
			return a, false
		}
	}
	return "", false
}

// interprets reports whether the base name of a program is that of an interpreter,
// with or without a version.
func interprets(prog string) bool {
	return interpreters[strings.TrimRight(path.Base(prog), "0123456789.")]
}
