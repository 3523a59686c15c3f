package fact

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type apple struct {
	At Ref
	N  int
}

func (apple) Kind() Kind { return "apple" }
func (a apple) Ref() Ref { return a.At }

type pear struct{ apple }

func (pear) Kind() Kind { return "pear" }

// impostor claims the kind of apple.
type impostor struct{ apple }

func shardOf(artifact ID, n int) *Shard {
	var s Shard
	for i := range n {
		Add(&s, apple{Ref{Artifact: artifact, Line: i + 1}, i})
	}
	return &s
}

func TestFactsComeInArtifactOrder(t *testing.T) {
	st := Seal(nil, shardOf("a", 3*chunkSize+1), nil, shardOf("b", 2))
	require.Equal(t, 3*chunkSize+3, st.Count("apple"))
	var last ID
	n := 0
	for a := range All[apple](st.View("test", "apple")) {
		if a.At.Artifact != last {
			last, n = a.At.Artifact, 0
		}
		require.Equal(t, n, a.N)
		n++
	}
	require.Equal(t, ID("b"), last)
	each := 0
	for f := range st.Each("apple") {
		require.Equal(t, Kind("apple"), f.Kind())
		each++
	}
	require.Equal(t, st.Count("apple"), each)
	require.Zero(t, st.Count("pear"))
}

func TestSort(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3*chunkSize + 5} {
		var s Shard
		for i := range n {
			Add(&s, apple{Ref{Artifact: "a"}, i * 7919 % max(n, 1)})
			Add(&s, pear{apple{Ref{Artifact: "a"}, n - i}})
		}
		Sort(&s, func(a *apple) uint32 { return uint32(a.N) })
		st := Seal(nil, &s)
		want := 0
		for a := range All[apple](st.View("test")) {
			require.Equal(t, want, a.N)
			want++
		}
		require.Equal(t, n, want)
		for p := range All[pear](st.View("test")) { // another column stays as it was
			require.Equal(t, n, p.N)
			n--
		}
	}
	Sort(&Shard{}, func(*apple) uint32 { return 0 })
}

func TestPointersStayGood(t *testing.T) {
	s := shardOf("a", 1)
	var first *apple
	for a := range All[apple](Seal(nil, s).View("test")) {
		first = a
	}
	for i := range 5 * chunkSize {
		Add(s, apple{N: i + 1})
	}
	require.Zero(t, first.N)
	require.Equal(t, 1, first.At.Line)
}

func TestUndeclaredKindPanics(t *testing.T) {
	st := Seal(nil, shardOf("a", 1))
	require.PanicsWithValue(t, `rule x reads facts of kind "pear" without declaring it`, func() {
		for range All[pear](st.View("rule x", "apple")) {
		}
	})
}

func TestTwoTypesOfOneKindPanic(t *testing.T) {
	s := shardOf("a", 1)
	require.Panics(t, func() { Add(s, impostor{}) })
}

func TestOptLeavesOutWhatIsUnset(t *testing.T) {
	type row struct {
		Q Int       `json:"q,omitzero"`
		B Opt[bool] `json:"b,omitzero"`
	}
	for _, c := range []struct {
		v    row
		want string
	}{
		{row{}, `{}`},
		{row{Q: Some[int64](0)}, `{"q":0}`},
		{row{Q: Some[int64](7), B: Some(false)}, `{"q":7,"b":false}`},
	} {
		got, err := json.Marshal(c.v)
		require.NoError(t, err)
		require.Equal(t, c.want, string(got))
		var back row
		require.NoError(t, json.Unmarshal(got, &back))
		require.Equal(t, c.v, back)
	}
	require.EqualValues(t, 3, Int{}.Or(3))
}

func TestTimeOfAFactIsFlat(t *testing.T) {
	e := CommandRun{Time: Time{T: time.Date(2021, 5, 18, 7, 8, 11, 5e8, time.UTC), Basis: LocalNoZone}, Text: "kill"}
	got, err := json.Marshal(e)
	require.NoError(t, err)
	require.JSONEq(t, `{"time":"2021-05-18T07:08:11.5Z","basis":"local","text":"kill"}`, string(got))
	require.True(t, e.Known())
	require.False(t, e.Absolute())
}

func TestRefs(t *testing.T) {
	require.Equal(t, "a.log:3", Ref{Artifact: "a.log", Line: 3}.String())
	require.Equal(t, "a.pcap#3", Ref{Artifact: "a.pcap", Packet: 3}.String())
	require.Negative(t, Ref{Artifact: "a", Line: 2}.Compare(Ref{Artifact: "a", Line: 10}))
}

func BenchmarkAdd(b *testing.B) {
	b.ReportAllocs()
	var s Shard
	for i := range b.N {
		Add(&s, Socket{At: Ref{Artifact: "a", Line: i}, Proto: "tcp"})
	}
}

func BenchmarkAll(b *testing.B) {
	st := Seal(nil, shardOf("a", 1<<20))
	v := st.View("bench", "apple")
	for b.Loop() {
		n := 0
		for a := range All[apple](v) {
			n += a.N
		}
		if n == 0 {
			b.Fatal(fmt.Errorf("nothing read"))
		}
	}
}
