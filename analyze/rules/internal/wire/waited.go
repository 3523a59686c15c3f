package wire

import (
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Waited is how long the requests at the end of a conversation have waited for an
// answer. One that nobody ended waits on after its last packet, until the next file
// of the capture shows it again, or until the capture ends; the latter only where the protocol answers whatever a client sends, since others
// have messages that want no answer, after which a connection rests.
func (x *Index) Waited(f *fact.Flow) time.Duration {
	u := f.Turns.Unanswered
	if u == nil {
		return 0
	}
	at := x.captures[f.Ref().Artifact]
	if at == nil || f.Closer() != "" || len(f.Resets()) > 0 || f.ToServer.FINFrame()+f.ToClient.FINFrame() > 0 {
		return u.Silence
	}
	if next := x.continued(f, at); next != nil {
		if next.ToClient.PayloadBytes() > 0 {
			return u.Silence // answered in the next file
		}
		return max(u.Silence, next.First().Sub(u.First))
	}
	if !answersAll(f.App()) {
		return u.Silence
	}
	return max(u.Silence, at.Last.Sub(u.First))
}

// continued is the same conversation in the next file of a capture that was written
// into several, nil if there is none.
func (x *Index) continued(f *fact.Flow, at *fact.Capture) *fact.Flow {
	t := x.twins[f]
	if t == nil {
		return nil
	}
	var next *fact.Flow
	for _, o := range t.others {
		later := o.Ref().Artifact != f.Ref().Artifact && x.hosts.Of(o.Ref()) == x.hosts.Of(f.Ref()) && !o.First().Before(at.Last)
		if later && (next == nil || o.First().Before(next.First())) {
			next = o
		}
	}
	return next
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
