package celrule

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// interruptEvery is how many iterations pass between two looks at the context.
const interruptEvery = 1000

// compiler holds what all rules of a load share.
type compiler struct {
	types *catalog
	base  *cel.Env
	cost  uint64
}

// findingType is what expressions see of a finding.
type findingType struct {
	ID         string   `json:"id"`
	Rule       string   `json:"rule"`
	Subject    string   `json:"subject"`
	Title      string   `json:"title"`
	Detail     string   `json:"detail"`
	Severity   string   `json:"severity"`
	Confidence string   `json:"confidence"`
	Entities   []string `json:"entities"`
}

// Kind makes findingType fit the catalogue; no store holds it.
func (findingType) Kind() fact.Kind { return "\x00finding" }

// Ref is empty.
func (findingType) Ref() fact.Ref { return fact.Ref{} }

func newCompiler(opts Options) (*compiler, error) {
	facts := opts.Facts
	if facts == nil {
		facts = fact.Builtin()
	}
	cat, err := newCatalog(append(slices.Clone(facts), findingType{}))
	if err != nil {
		return nil, err
	}
	env, err := cel.NewEnv(
		cel.CustomTypeProvider(cat), cel.CustomTypeAdapter(cat),
		// Thresholds are doubles and sizes ints; both must compare.
		cel.CrossTypeNumericComparisons(true),
		cel.Variable("findings", cel.ListType(cat.kinds[findingType{}.Kind()].cel)),
	)
	if err != nil {
		return nil, err
	}
	c := &compiler{types: cat, base: env, cost: opts.CostLimit}
	if c.cost == 0 {
		c.cost = DefaultCostLimit
	}
	return c, nil
}

// compiled is a rule ready to run.
type compiled struct {
	c          *compiler
	f          *file
	severity   analyze.Severity
	confidence analyze.Confidence
	lists      []compiledList // by name
	by         cel.Program
	when       cel.Program
	subject    cel.Program
	say        cel.Program
	detail     cel.Program
}

type compiledList struct {
	name  string
	kind  fact.Kind
	where cel.Program
}

// rule checks and compiles one file.
func (c *compiler) rule(name string, text []byte) (*analyze.Rule, error) {
	var f file
	src, err := decode(name, text, &f)
	if err != nil {
		return nil, err
	}
	out := &compiled{c: c, f: &f}
	var errs []error
	check := func(ok bool, at, format string, args ...any) {
		if !ok {
			errs = append(errs, src.errorf(at, format, args...))
		}
	}
	for _, need := range [][2]string{{"rule", f.Rule}, {"title", f.Title}, {"doc", f.Doc}, {"when", f.When}, {"subject", f.Subject}, {"say", f.Say}} {
		check(need[1] != "", "$."+need[0], "a rule needs %q", need[0])
	}
	check(len(f.Facts) > 0, "$.facts", `a rule needs "facts": at least one list`)
	if err := out.severity.UnmarshalText([]byte(f.Severity)); err != nil {
		errs = append(errs, src.errorf("$.severity", "%v", err))
	}
	if err := out.confidence.UnmarshalText([]byte(f.Confidence)); err != nil {
		errs = append(errs, src.errorf("$.confidence", "%v", err))
	}
	_, known := f.Facts[f.Each]
	check(f.Each == "" || known, "$.each", "no list is named %q", f.Each)
	check(f.By == "" || f.Each != "", "$.by", `"by" needs "each"`)
	if len(errs) > 0 {
		slices.SortFunc(errs, compareErrors)
		return nil, errors.Join(errs...)
	}
	if err := out.compile(src); err != nil {
		return nil, err
	}
	return out.asRule(), nil
}

func compareErrors(a, b error) int {
	var x, y *Error
	if errors.As(a, &x) && errors.As(b, &y) {
		return cmp.Or(cmp.Compare(x.Line, y.Line), cmp.Compare(x.Column, y.Column))
	}
	return 0
}

// expressions compiles the expressions of one rule and collects what is wrong with
// them.
type expressions struct {
	*compiler
	src *source
	// limits are the thresholds: a threshold is a variable of its own, so that a
	// misspelt one is found here.
	limits []cel.EnvOption
	errs   []error
}

// env is what an expression sees: the thresholds and these variables. It is nil if
// they cannot stand together.
func (x *expressions) env(at string, vars ...cel.EnvOption) *cel.Env {
	env, err := x.base.Extend(slices.Concat(x.limits, vars)...)
	if err != nil {
		x.errs = append(x.errs, x.src.errorf(at, "%v", err))
		return nil
	}
	return env
}

// program compiles an expression, if there is one.
func (x *expressions) program(env *cel.Env, at, expr string, want *cel.Type) cel.Program {
	if env == nil || expr == "" {
		return nil
	}
	p, err := x.compiler.program(env, x.src, at, expr, want)
	if err != nil {
		x.errs = append(x.errs, err)
	}
	return p
}

// compile type-checks all expressions of the rule.
func (r *compiled) compile(src *source) error {
	x := &expressions{compiler: r.c, src: src}
	for _, name := range slices.Sorted(maps.Keys(r.f.Thresholds)) {
		x.limits = append(x.limits, cel.Variable("limit."+name, cel.DoubleType))
	}
	vars := []cel.EnvOption{cel.Variable("key", cel.StringType)}
	var each *cel.Type
	for _, name := range slices.Sorted(maps.Keys(r.f.Facts)) {
		l := r.f.Facts[name]
		at := "$.facts." + name
		st, ok := r.c.types.kinds[fact.Kind(l.Kind)]
		if !ok {
			x.errs = append(x.errs, src.errorf(at+".kind", "no facts of kind %q; the kinds are %v", l.Kind, r.c.types.kindNames()))
			continue
		}
		where := x.program(x.env(at, cel.Variable("it", st.cel)), at+".where", l.Where, cel.BoolType)
		r.lists = append(r.lists, compiledList{name: name, kind: fact.Kind(l.Kind), where: where})
		vars = append(vars, cel.Variable(name, cel.ListType(st.cel)))
		if name == r.f.Each {
			each = st.cel
		}
	}
	if len(x.errs) > 0 {
		return errors.Join(x.errs...)
	}
	if each != nil {
		vars = append(vars, cel.Variable("group", cel.ListType(each)))
		r.by = x.program(x.env("$.by", cel.Variable("it", each)), "$.by", r.f.By, cel.StringType)
	}
	env := x.env("$.facts", vars...)
	r.when = x.program(env, "$.when", r.f.When, cel.BoolType)
	r.subject = x.program(env, "$.subject", r.f.Subject, cel.StringType)
	r.say = x.program(env, "$.say", r.f.Say, cel.StringType)
	r.detail = x.program(env, "$.detail", r.f.Detail, cel.StringType)
	return errors.Join(x.errs...)
}

// program compiles one expression and requires its type. Positions in CEL's
// messages are turned into positions of the file.
func (c *compiler) program(env *cel.Env, src *source, at, expr string, want *cel.Type) (cel.Program, error) {
	tree, issues := env.Compile(expr)
	line, column, block := src.position(at)
	if issues != nil && issues.Err() != nil {
		var errs []error
		for _, e := range issues.Errors() {
			l, col := line+e.Location.Line()-1, e.Location.Column()+1
			if e.Location.Line() == 1 || block {
				col += column - 1
			}
			errs = append(errs, &Error{File: src.name, Line: l, Column: col, Msg: e.Message})
		}
		return nil, errors.Join(errs...)
	}
	if got := tree.OutputType(); !got.IsExactType(want) && !got.IsExactType(types.DynType) {
		return nil, &Error{File: src.name, Line: line, Column: column, Msg: fmt.Sprintf("this is a %s, want a %s", got, want)}
	}
	return env.Program(tree, cel.CostLimit(c.cost), cel.InterruptCheckFrequency(interruptEvery), cel.EvalOptions(cel.OptOptimize))
}
