package applog

// level is how grave a line says it is.
type level uint8

const (
	levelNone level = iota
	levelTrace
	levelDebug
	levelInfo
	levelWarn
	levelError
	levelFatal
)

var levelNames = [...]string{"", "trace", "debug", "info", "warn", "error", "fatal"}

func (l level) String() string { return levelNames[l] }

// levelWord reads a level as programs print it, in any case.
func levelWord(w []byte) level {
	if len(w) == 0 || len(w) > 11 {
		return levelNone
	}
	var buf [11]byte
	return levels[string(lower(buf[:0], w))]
}

// levels maps words to levels. One-letter forms (klog, logcat, mongod) are read
// only where a format puts them, see letterLevel.
var levels = map[string]level{
	"trace": levelTrace, "trc": levelTrace, "trce": levelTrace, "verbose": levelTrace, "silly": levelTrace, "finest": levelTrace, "finer": levelTrace,
	"debug": levelDebug, "dbg": levelDebug, "dbug": levelDebug, "debu": levelDebug, "fine": levelDebug, "config": levelDebug,
	"info": levelInfo, "inf": levelInfo, "information": levelInfo, "notice": levelInfo, "note": levelInfo, "log": levelInfo,
	"system": levelInfo, "statement": levelInfo, "detail": levelInfo, "hint": levelInfo,
	"warn": levelWarn, "warning": levelWarn, "wrn": levelWarn, "alert_warn": levelWarn,
	"error": levelError, "err": levelError, "eror": levelError, "severe": levelError, "erro": levelError, "fail": levelError,
	"错误": levelError, "警告": levelWarn, "信息": levelInfo, "调试": levelDebug, "严重": levelError, "致命": levelFatal,
	"fehler": levelError, "warnung": levelWarn, "hinweis": levelInfo, "erreur": levelError, "attention": levelWarn, "avertissement": levelWarn, // of PostgreSQL
	"errore": levelError, "aviso": levelWarn, "fatal": levelFatal, "ftl": levelFatal, "fata": levelFatal, "critical": levelFatal, "crit": levelFatal, "emerg": levelFatal, "emergency": levelFatal,
	"alert": levelFatal, "panic": levelFatal, "dpanic": levelFatal, "pnc": levelFatal,
}

// commonWord reports levels that are words of messages too; they count only in
// upper case, in brackets or before a colon.
func commonWord(w []byte) bool {
	switch string(w) {
	case "fail", "Fail", "log", "system", "note", "detail", "statement", "hint", "fine", "config", "notice", "alert", "panic", "error",
		"attention", "Attention", "aviso", "Aviso", "fehler", "Fehler", "erreur", "Erreur", "Log", "System", "Note", "Detail", "Statement", "Hint", "Fine", "Config", "Notice", "Alert", "Panic", "Error":
		return true
	}
	return false
}

func letterLevel(c byte) level {
	switch c {
	case 'T', 'V':
		return levelTrace
	case 'D':
		return levelDebug
	case 'I':
		return levelInfo
	case 'W':
		return levelWarn
	case 'E':
		return levelError
	case 'F', 'C':
		return levelFatal
	}
	return levelNone
}

// syslogLevel is the level of a syslog or journal priority, 0 to 7.
func syslogLevel(p int) level {
	return [...]level{levelFatal, levelFatal, levelFatal, levelError, levelWarn, levelInfo, levelInfo, levelDebug}[p&7]
}

// numericLevel is the level of pino and bunyan.
func numericLevel(n int64) level {
	switch {
	case n >= 60:
		return levelFatal
	case n >= 50:
		return levelError
	case n >= 40:
		return levelWarn
	case n >= 30:
		return levelInfo
	case n >= 20:
		return levelDebug
	case n >= 10:
		return levelTrace
	}
	return levelNone
}

func lower(dst, src []byte) []byte {
	for _, c := range src {
		if c-'A' < 26 {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}
