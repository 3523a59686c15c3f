# Targets for daily work; .ci/run is what CI runs.

.PHONY: all build test race lint bench generate tidy ci

all: build test lint

build:
	CGO_ENABLED=0 go build -trimpath -o bin/analyze ./cmd/analyze

test:
	go test ./...

race:
	go test -race ./...

lint:
	go vet ./...
	go tool -modfile=tools/go.mod golangci-lint run ./...

# Six runs, for benchstat.
bench:
	go test -run '^$$' -bench . -benchmem -count 6 ./...

generate:
	go generate ./...

tidy:
	go mod tidy
	go mod tidy -modfile=tools/go.mod

ci:
	.ci/run
