package wire

import (
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Waited is how long the requests at the end of a conversation have waited for an
// answer. One that nobody ended waits on after its last packet, until the capture
// ends; but only where the protocol answers whatever a client sends, since others
// have messages that want no answer, after which a connection rests.
func (x *Index) Waited(f *fact.Flow) time.Duration {
	u := f.Turns.Unanswered
	if u == nil {
		return 0
	}
	at := x.captures[f.Ref().Artifact]
	if at == nil || !answersAll(f.App()) || f.Closer() != "" || len(f.Resets()) > 0 || f.ToServer.FINFrame()+f.ToClient.FINFrame() > 0 {
		return u.Silence
	}
	return max(u.Silence, at.Last.Sub(u.First))
}

// answersAll reports whether a protocol has an answer to every message of a client.
// Redis is not among them: a blocking pop waits as long as the queue is empty.
func answersAll(app string) bool {
	switch app {
	case "http", "postgres", "memcached", "smtp":
		return true
	}
	return false
}
