// Package parsers lists the parsers that come with the program. One folder holds
// one kind of artifact; `go generate` writes the list from the folders.
package parsers

//go:generate go run ../analyze/internal/catalogue parsers
