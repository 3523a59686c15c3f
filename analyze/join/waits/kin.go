package waits

import (
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// buildChannels finds senders, groups and suspects. Locks must be known.
func (d *Dump) buildChannels() {
	k := &kinship{
		d: d, byOwner: map[string][]*Stack{}, byCreator: map[string][]*Stack{}, children: map[int64][]*Stack{}, byID: map[int64]*Stack{},
		byFunc: map[string][]*Stack{}, parents: map[int64]bool{}, creators: map[string]bool{}, locked: map[*Stack]bool{},
	}
	k.index()
	d.Sends = k.sends()
	d.Groups = k.groups()
	d.Suspects = k.suspects()
}

// kinship finds which stacks have to do with each other.
type kinship struct {
	d         *Dump
	byOwner   map[string][]*Stack // stacks with a frame of a type or function
	byCreator map[string][]*Stack // stacks by the type or function that created them
	children  map[int64][]*Stack
	byID      map[int64]*Stack    // stacks of goroutines that are not at rest
	byFunc    map[string][]*Stack // the same by the functions on them, a few each
	// parents and creators are goroutines, or where there are no ids functions, that
	// started one which is blocked.
	parents  map[int64]bool
	creators map[string]bool
	locked   map[*Stack]bool // waits for a lock, or holds one that is waited for
}

func (k *kinship) index() {
	for _, s := range k.d.Stacks {
		if s.Dumper || s.Idle != "" {
			continue
		}
		seen := map[string]bool{}
		for _, i := range s.App {
			if o := s.Owners[i]; !seen[o] {
				seen[o] = true
				k.byOwner[o] = append(k.byOwner[o], s)
			}
		}
		if c := s.Members[0].CreatedBy; c != "" {
			k.byCreator[ownerOf(c)] = append(k.byCreator[ownerOf(c)], s)
		}
		for _, g := range s.Members {
			if id := g.CreatedByID; id.Known {
				if c := k.children[id.V]; len(c) == 0 || c[len(c)-1] != s {
					k.children[id.V] = append(c, s)
				}
			}
		}
		k.locked[s] = s.Kind.Lock()
		k.indexParents(s)
	}
	for _, l := range k.d.Locks {
		if l.Verdict() == LockBusy {
			continue
		}
		for _, h := range l.Holders {
			k.locked[h.Stack] = true
		}
	}
}

// indexParents notes who started a blocked goroutine, and who could have.
func (k *kinship) indexParents(s *Stack) {
	blocked := !s.Kind.Live() && s.Kind != OnRuntime
	for _, g := range s.Members {
		k.byID[g.ID] = s
		switch {
		case !blocked:
		case g.CreatedByID.Known:
			k.parents[g.CreatedByID.V] = true
		case g.CreatedBy != "":
			k.creators[g.CreatedBy] = true
		}
	}
	for _, f := range s.Frames {
		if list := k.byFunc[f.Func]; len(list) < maxAlike {
			k.byFunc[f.Func] = append(list, s)
		}
	}
}

// startedBlocked reports whether a goroutine of the stack started one that is
// blocked.
func (k *kinship) startedBlocked(s *Stack) bool {
	if slices.ContainsFunc(s.Members, func(g *fact.Goroutine) bool { return g.ID != 0 && k.parents[g.ID] }) {
		return true
	}
	return slices.ContainsFunc(s.Frames, func(f fact.Frame) bool { return k.creators[f.Func] })
}

// waitingParent is the goroutine that started one of the stack, if that waits, too:
// perhaps for its end.
func (k *kinship) waitingParent(s *Stack) *Stack {
	waits := func(o *Stack) bool {
		return o != nil && o != s && (o.Kind == OnRecv || o.Kind == OnGroup || o.Kind == OnSelect) && !o.inMain()
	}
	for _, g := range s.Members[:min(len(s.Members), maxAlike)] {
		if id := g.CreatedByID; id.Known {
			if o := k.byID[id.V]; waits(o) {
				return o
			}
			continue
		}
		for _, o := range k.byFunc[g.CreatedBy] {
			if waits(o) {
				return o
			}
		}
	}
	return nil
}

// maxRelatives bounds the stacks that are looked at as relatives of one.
const maxRelatives = 256

// relatives are stacks that share a type or function with s, created each other,
// or have a creator in common. A goroutine of package testing or main.main relates
// to everything and therefore to nothing.
func (k *kinship) relatives(s *Stack) []*Stack {
	var out []*Stack
	seen := map[*Stack]bool{s: true}
	add := func(list []*Stack) {
		for _, o := range list {
			if len(out) == maxRelatives {
				return
			}
			if !seen[o] {
				seen[o] = true
				out = append(out, o)
			}
		}
	}
	for _, i := range s.App {
		if o := s.Owners[i]; !common(o) {
			add(k.byOwner[o])
			add(k.byCreator[o])
		}
	}
	if i := s.Site; i >= 0 && s.Kind == OnGroup && !common(s.Owners[i]) {
		add(k.byCreator[s.Owners[i]]) // who started them for it: an errgroup
	}
	if c := s.Members[0].CreatedBy; c != "" && !common(ownerOf(c)) {
		add(k.byOwner[ownerOf(c)])
		add(k.byCreator[ownerOf(c)])
	}
	for _, g := range s.Members {
		add(k.children[g.ID])
	}
	return out
}

// common reports whether a function is the origin of so much that it makes no
// relation.
func common(owner string) bool {
	return owner == "main.main" || strings.HasPrefix(owner, "testing.") || strings.HasSuffix(owner, ".TestMain") ||
		strings.HasPrefix(owner, "net/http.") || strings.HasPrefix(owner, "runtime.") || strings.HasPrefix(owner, "sync.")
}

// creates reports whether a goroutine of parent created one of child.
func (k *kinship) creates(parent, child *Stack) bool {
	by := child.Members[0].CreatedBy
	for _, g := range child.Members {
		if id := g.CreatedByID; id.Known {
			return slices.ContainsFunc(parent.Members, func(p *fact.Goroutine) bool { return p.ID == id.V })
		}
	}
	return by != "" && slices.ContainsFunc(parent.Frames, func(f fact.Frame) bool { return f.Func == by })
}
