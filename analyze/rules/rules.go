// Package rules lists the rules that come with the program. One folder holds one
// rule; `go generate` writes the list from the folders, and README.md, the table of
// all rules, from the list, the tests and cases.txt.
package rules

//go:generate go run ../internal/catalogue rules
//go:generate go test . -run ^TestReadme$ -update
