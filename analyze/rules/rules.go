// Package rules lists the rules that come with the program. One folder holds one
// rule; `go generate` writes the list from the folders.
package rules

//go:generate go run ../internal/catalogue rules
