package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	log := "2026-11-21T00:36:32.100Z INFO api started pid=7\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "api.log"), []byte(log), 0o600))
	missing := filepath.Join(dir, "missing")
	var out bytes.Buffer
	err := run(t.Context(), &out, []string{missing, dir})
	assert.ErrorIs(t, err, fs.ErrNotExist, "a bundle that is not there is reported")
	assert.True(t, strings.HasPrefix(out.String(), dir+": "), "the other one is read all the same: %s", out.String())
	assert.Error(t, run(t.Context(), &out, nil))
}
