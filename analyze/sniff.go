package analyze

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

// peek reads the beginning of an artifact.
func peek(in *Input) (Head, error) {
	h := Head{Path: in.Path, Size: in.Size}
	r, err := in.Open()
	if err != nil {
		return h, fmt.Errorf("open: %w", err)
	}
	defer r.Close()
	h.Bytes = make([]byte, HeadSize)
	n, err := io.ReadFull(r, h.Bytes)
	h.Bytes = h.Bytes[:n]
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return h, err
}

// pick orders the parsers that claim an artifact, surest first; among equals the
// configured order decides.
func pick(parsers []*Parser, forced string, head Head) []*Parser {
	type claim struct {
		p *Parser
		m Match
	}
	var claims []claim
	for _, p := range parsers {
		if forced != "" {
			if p.Name == forced {
				return []*Parser{p}
			}
			continue
		}
		if m := sniff(p, head); m > No {
			claims = append(claims, claim{p, m})
		}
	}
	slices.SortStableFunc(claims, func(a, b claim) int { return int(b.m - a.m) })
	out := make([]*Parser, len(claims))
	for i, c := range claims {
		out[i] = c.p
	}
	return out
}

// sniff asks one parser; a sniffer that panics on hostile bytes does not claim.
func sniff(p *Parser, head Head) (m Match) {
	defer func() {
		if recover() != nil {
			m = No
		}
	}()
	return p.Sniff(head)
}

func unclaimedWhy(h Head) string {
	if bytes.IndexByte(h.Bytes, 0) >= 0 {
		return "binary data of no known format"
	}
	return "text of no known format"
}
