package celrule

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// catalog gives CEL the types of facts: each struct under the names of its JSON
// fields, so that expressions, `analyze facts` and the documentation speak of the
// same thing. It is read-only after newCatalog and safe for concurrent use.
//
// cel-go's own adapter for Go structs was tried: it knows neither values that may
// be unset (fact.Opt) nor text enums, and shows Go's field names.
type catalog struct {
	types.Provider
	adapter types.Adapter
	structs map[string]*structType       // by CEL name
	goTypes map[reflect.Type]*structType // by Go type
	kinds   map[fact.Kind]*structType
}

// structType is one Go struct as CEL sees it.
type structType struct {
	name   string
	cel    *types.Type
	fields map[string]*field
	names  []string
}

// field is one field of a struct, found by its JSON name.
type field struct {
	index []int // for reflect.Value.FieldByIndex
	cel   *types.Type
}

func newCatalog(facts []fact.Fact) (*catalog, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	c := &catalog{
		Provider: registry, adapter: registry,
		structs: map[string]*structType{}, goTypes: map[reflect.Type]*structType{}, kinds: map[fact.Kind]*structType{},
	}
	for _, f := range facts {
		t := reflect.TypeOf(f)
		if p, ok := f.(fact.Packed); ok {
			t = reflect.TypeOf(p.Open())
		}
		c.kinds[f.Kind()] = c.structOf(t)
	}
	return c, nil
}

// kindNames lists the kinds that rules can read, sorted.
func (c *catalog) kindNames() []string {
	var out []string
	for k := range c.kinds {
		out = append(out, string(k))
	}
	slices.Sort(out)
	return out
}

// structOf describes a Go struct, once.
func (c *catalog) structOf(t reflect.Type) *structType {
	if st, ok := c.goTypes[t]; ok {
		return st
	}
	name := "fact." + t.Name()
	st := &structType{name: name, cel: types.NewObjectType(name, traits.IndexerType, traits.FieldTesterType), fields: map[string]*field{}}
	c.goTypes[t], c.structs[name] = st, st
	c.addFields(st, t, nil)
	slices.Sort(st.names)
	return st
}

func (c *catalog) addFields(st *structType, t reflect.Type, at []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(slices.Clone(at), i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case !f.IsExported():
			continue
		case f.Name == "At" && f.Type == reflect.TypeFor[fact.Ref]():
			// The position of a fact: artifact, line and packet.
			c.addFields(st, f.Type, index)
			continue
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			c.addFields(st, f.Type, index)
			continue
		case name == "" || name == "-":
			continue
		}
		if _, have := st.fields[name]; !have {
			st.fields[name] = &field{index: index, cel: c.celType(f.Type)}
			st.names = append(st.names, name)
		}
	}
}

var (
	textType     = reflect.TypeFor[encoding.TextMarshaler]()
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
)

// optional reports whether t is a fact.Opt and of what.
func optional(t reflect.Type) (reflect.Type, bool) {
	if t.Kind() != reflect.Struct || !strings.HasPrefix(t.Name(), "Opt[") || t.PkgPath() != reflect.TypeFor[fact.Ref]().PkgPath() {
		return nil, false
	}
	return t.Field(0).Type, true
}

func (c *catalog) celType(t reflect.Type) *types.Type {
	if inner, ok := optional(t); ok {
		return c.celType(inner)
	}
	switch {
	case t == timeType:
		return types.TimestampType
	case t == durationType:
		return types.DurationType
	case t.Implements(textType):
		return types.StringType
	}
	switch t.Kind() {
	case reflect.Bool:
		return types.BoolType
	case reflect.String:
		return types.StringType
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return types.IntType
	case reflect.Float32, reflect.Float64:
		return types.DoubleType
	case reflect.Pointer:
		return c.celType(t.Elem())
	case reflect.Slice, reflect.Array:
		return types.NewListType(c.celType(t.Elem()))
	case reflect.Map:
		return types.NewMapType(c.celType(t.Key()), c.celType(t.Elem()))
	case reflect.Struct:
		return c.structOf(t).cel
	}
	return types.DynType
}

// FindStructType implements types.Provider.
func (c *catalog) FindStructType(name string) (*types.Type, bool) {
	if st, ok := c.structs[name]; ok {
		return types.NewTypeTypeWithParam(st.cel), true
	}
	return c.Provider.FindStructType(name)
}

// FindStructFieldNames implements types.Provider.
func (c *catalog) FindStructFieldNames(name string) ([]string, bool) {
	if st, ok := c.structs[name]; ok {
		return st.names, true
	}
	return c.Provider.FindStructFieldNames(name)
}

// FindStructFieldType implements types.Provider.
func (c *catalog) FindStructFieldType(name, fieldName string) (*types.FieldType, bool) {
	st, ok := c.structs[name]
	if !ok {
		return c.Provider.FindStructFieldType(name, fieldName)
	}
	f, ok := st.fields[fieldName]
	if !ok {
		return nil, false
	}
	return &types.FieldType{
		Type:  f.cel,
		IsSet: func(target any) bool { return set(structValue(target).FieldByIndex(f.index)) },
		GetFrom: func(target any) (any, error) {
			return c.NativeToValue(structValue(target).FieldByIndex(f.index).Interface()), nil
		},
	}, true
}

// structValue is the struct behind what CEL hands to a field getter.
func structValue(target any) reflect.Value {
	if o, ok := target.(*object); ok {
		return o.v
	}
	v := reflect.ValueOf(target)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return v
}

// set reports whether a field holds something that its source printed.
func set(v reflect.Value) bool {
	if z, ok := v.Interface().(interface{ IsZero() bool }); ok {
		return !z.IsZero()
	}
	return !v.IsZero()
}

// NativeToValue implements types.Adapter.
func (c *catalog) NativeToValue(value any) ref.Val {
	switch v := value.(type) {
	case ref.Val:
		return v
	case time.Time:
		return types.Timestamp{Time: v}
	case time.Duration:
		return types.Duration{Duration: v}
	case fact.Packed:
		value = v.Open()
	case encoding.TextMarshaler:
		if b, err := v.MarshalText(); err == nil {
			return types.String(b)
		}
	}
	v := reflect.ValueOf(value)
	if !v.IsValid() {
		return types.NullValue
	}
	if _, ok := optional(v.Type()); ok {
		return c.NativeToValue(v.Field(0).Interface())
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			// Like an unset message: its fields have their zero values, has() is false.
			return c.NativeToValue(reflect.Zero(v.Type().Elem()).Interface())
		}
		return c.NativeToValue(v.Elem().Interface())
	case reflect.Struct:
		return &object{c: c, t: c.goTypes[v.Type()], v: v}
	case reflect.String:
		return types.String(v.String())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return types.Int(v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return types.Int(v.Uint())
	case reflect.Slice, reflect.Array:
		return types.NewDynamicList(c, value)
	case reflect.Map:
		return types.NewDynamicMap(c, value)
	}
	return c.adapter.NativeToValue(value)
}

// object is a struct as a CEL value.
type object struct {
	c *catalog
	t *structType
	v reflect.Value
}

// ConvertToNative implements ref.Val.
func (o *object) ConvertToNative(t reflect.Type) (any, error) {
	if o.v.Type().AssignableTo(t) {
		return o.v.Interface(), nil
	}
	return nil, fmt.Errorf("a %s cannot become a %s", o.t.name, t)
}

// ConvertToType implements ref.Val.
func (o *object) ConvertToType(t ref.Type) ref.Val {
	if t == types.TypeType {
		return o.t.cel
	}
	return types.NewErr("a %s cannot become a %s", o.t.name, t.TypeName())
}

// Equal implements ref.Val: two facts are equal when all fields are.
func (o *object) Equal(other ref.Val) ref.Val {
	p, ok := other.(*object)
	return types.Bool(ok && p.v.Type() == o.v.Type() && reflect.DeepEqual(o.v.Interface(), p.v.Interface()))
}

// Type implements ref.Val.
func (o *object) Type() ref.Type { return o.t.cel }

// Value implements ref.Val.
func (o *object) Value() any { return o.v.Interface() }

// Get implements traits.Indexer.
func (o *object) Get(index ref.Val) ref.Val {
	f, err := o.field(index)
	if err != nil {
		return err
	}
	return o.c.NativeToValue(o.v.FieldByIndex(f.index).Interface())
}

// IsSet implements traits.FieldTester.
func (o *object) IsSet(index ref.Val) ref.Val {
	f, err := o.field(index)
	if err != nil {
		return err
	}
	return types.Bool(set(o.v.FieldByIndex(f.index)))
}

func (o *object) field(index ref.Val) (*field, ref.Val) {
	name, ok := index.(types.String)
	if !ok {
		return nil, types.MaybeNoSuchOverloadErr(index)
	}
	f, ok := o.t.fields[string(name)]
	if !ok {
		return nil, types.NewErr("%s has no field %q", o.t.name, string(name))
	}
	return f, nil
}
