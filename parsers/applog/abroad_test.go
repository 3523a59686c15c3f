package applog_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/applog"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

// TestAbroad: the C library's errors in other languages, as shells and programs
// print them.
func TestAbroad(t *testing.T) {
	for line, errno := range map[string]string{
		"arch.sh: Zeile 3: spool/b.xml: Auf dem Gerät ist kein Speicherplatz mehr verfügbar": "ENOSPC",
		"pool.sh: fork: retry: Ressource temporairement non disponible":                      "EAGAIN",
		"connect 10.0.0.1:80: Conexión rehusada (111)":                                       "ECONNREFUSED",
		"open /var/lib/x: Слишком много открытых файлов.":                                    "EMFILE",
		"write: デバイスに空き領域がありません":                                                             "ENOSPC",
		"Quota: Die Adresse wird bereits verwendet, sagt er":                                 "",
	} {
		st, _ := parsertest.Run(t, applog.Parser(), "a.log", []byte("2026-11-21 12:32:26 pool: started\n2026-11-21 12:32:27 "+line+"\n"))
		got := ""
		for _, e := range parsertest.All[fact.LogEvent](st) {
			if e.At.Line == 2 {
				got = e.Errno
			}
		}
		assert.Equal(t, errno, got, line)
	}
}
