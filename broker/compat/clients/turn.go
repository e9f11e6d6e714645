package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// turned is a package's test files with what the stand-in of the package
// cannot carry taken out: those tests, and what only they could use.
type turned struct {
	files map[string][]byte // by base name; a line is where it was
	runs  []string          // tests that are left, in order
	left  map[string]string // tests that are not, and why
}

// declaration is one of a test file, at its top level.
type declaration struct {
	node  ast.Decl
	names []string
	uses  []*declaration
	why   string // it cannot be turned; "" if it can
}

// turning is one call of turn.
type turning struct {
	set      *token.FileSet
	info     types.Info
	files    []*ast.File
	contents [][]byte
	paths    []string
	all      []*declaration
	replaced []ast.Decl // by the stand-in's
}

// rules are what turn goes by beside the compiler.
type rules struct {
	brokers  string            // an option; who calls it with a constant above 1 needs more than one broker
	packages map[string]string // who uses one of these, by path, looks where there is nothing, and why
	files    map[string]string // whose tests, by base name, are left out, and why; what else is in one stays
	byHand   map[string]string // tests that could be turned and are not, and why; "Test/part" is a part of one
}

// turn decides by the rule of the compiler: the tests are checked as if they
// stood in the stand-in's package, and a declaration with a type error, as a
// call of what the stand-in does not have, is taken out with all that uses it.
// What the stand-in declares takes the place of what the tests declare. A test
// left out by hand must be there and have no other reason, so that the list
// does not outlive its use.
func turn(standIn, tests []string, by rules, imports func(*token.FileSet) types.Importer) (turned, error) {
	t := turning{set: token.NewFileSet()}
	t.info = types.Info{Uses: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{}}
	all := []*ast.File{}
	ours := map[string]bool{}
	for _, path := range standIn {
		file, err := parser.ParseFile(t.set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return turned{}, err
		}
		all = append(all, file)
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				ours[f.Name.Name] = true
			}
		}
	}
	for _, path := range tests {
		text, err := os.ReadFile(path)
		if err != nil {
			return turned{}, err
		}
		file, err := parser.ParseFile(t.set, path, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return turned{}, err
		}
		t.files, t.contents, t.paths = append(t.files, file), append(t.contents, text), append(t.paths, path)
		all = append(all, file)
		file.Decls = slices.DeleteFunc(file.Decls, func(d ast.Decl) bool {
			names := declared(d)
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && ours[names[0]] {
				t.replaced = append(t.replaced, d)
				return true
			}
			if names != nil {
				t.all = append(t.all, &declaration{node: d, names: names})
			}
			return false
		})
	}
	var broken []error
	config := types.Config{Importer: imports(t.set), DisableUnusedImportCheck: true, Error: func(err error) {
		broken = append(broken, err)
	}}
	_, _ = config.Check(all[0].Name.Name, t.set, all, &t.info) // each error went to broken
	if err := t.blame(broken); err != nil {
		return turned{}, err
	}
	t.askMore(by.brokers)
	t.lookWhere(by.packages)
	for _, d := range t.all {
		if why := by.files[filepath.Base(t.set.Position(d.node.Pos()).Filename)]; why != "" && d.isTest() && d.why == "" {
			d.why = why
		}
	}
	if err := t.leaveOut(by.byHand); err != nil {
		return turned{}, err
	}
	t.spread()
	return t.result(), nil
}

// declared are the names of a declaration; nil for an import.
func declared(d ast.Decl) []string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		return []string{d.Name.Name}
	case *ast.GenDecl:
		var names []string
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, spec.Name.Name)
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					names = append(names, name.Name)
				}
			}
		}
		return names
	}
	return nil
}

// isTest says whether `go test` would run the declaration.
func (d *declaration) isTest() bool {
	f, ok := d.node.(*ast.FuncDecl)
	return ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") && f.Type.Params.NumFields() == 1
}

// at finds the declaration around a position, nil where there is none.
func (t *turning) at(pos token.Pos) *declaration {
	i, found := slices.BinarySearchFunc(t.all, pos, func(d *declaration, pos token.Pos) int {
		switch {
		case pos < d.node.Pos():
			return 1
		case pos >= d.node.End():
			return -1
		}
		return 0
	})
	if !found {
		return nil
	}
	return t.all[i]
}

// blame gives each type error to the declaration it is in. One outside of them is not the tests' but ours.
func (t *turning) blame(broken []error) error {
	for _, err := range broken {
		var wrong types.Error
		if !errors.As(err, &wrong) {
			return err
		}
		d := t.at(wrong.Pos)
		if d == nil {
			return err
		}
		if d.why == "" {
			d.why, _, _ = strings.Cut(strings.TrimPrefix(wrong.Msg, "\t"), "\n")
		}
	}
	return nil
}

// askMore finds calls of the option that is asked for more than one broker.
func (t *turning) askMore(brokers string) {
	for _, d := range t.all {
		ast.Inspect(d.node, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 1 {
				return true
			}
			name, ok := call.Fun.(*ast.Ident)
			if !ok || name.Name != brokers {
				return true
			}
			if n := t.info.Types[call.Args[0]].Value; n != nil && constant.Compare(n, token.GTR, constant.MakeInt64(1)) && d.why == "" {
				d.why = fmt.Sprintf("asks for %s brokers", n)
			}
			return true
		})
	}
}

// lookWhere finds uses of packages that are no use here.
func (t *turning) lookWhere(packages map[string]string) {
	for name, object := range t.info.Uses {
		if of, ok := object.(*types.PkgName); ok && packages[of.Imported().Path()] != "" {
			if d := t.at(name.Pos()); d != nil && d.why == "" {
				d.why = packages[of.Imported().Path()]
			}
		}
	}
}

func (t *turning) leaveOut(byHand map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(byHand)) {
		whole, _, isPart := strings.Cut(name, "/")
		at := slices.IndexFunc(t.all, func(d *declaration) bool { return d.isTest() && d.names[0] == whole })
		if at < 0 {
			return fmt.Errorf("no test is called %s; it was left out because %s", name, byHand[name])
		}
		if already := t.all[at].why; already != "" {
			return fmt.Errorf("%s need not be left out by hand: %s", name, already)
		}
		if !isPart {
			t.all[at].why = byHand[name]
		}
	}
	return nil
}

// spread takes out what uses something that is taken out.
func (t *turning) spread() {
	for name, object := range t.info.Uses {
		user, used := t.at(name.Pos()), t.at(object.Pos())
		if user != nil && used != nil && user != used {
			user.uses = append(user.uses, used)
		}
	}
	for again := true; again; {
		again = false
		for _, d := range t.all {
			if d.why != "" {
				continue
			}
			for _, used := range d.uses {
				if used.why != "" {
					d.why, again = used.why, true
					break
				}
			}
		}
	}
}

// result blanks out what is taken out, and imports that nothing uses then.
func (t *turning) result() turned {
	r := turned{files: map[string][]byte{}, left: map[string]string{}}
	used := map[string]bool{} // imports, as file and path
	for name, object := range t.info.Uses {
		if d := t.at(name.Pos()); d != nil && d.why == "" {
			if of, ok := object.(*types.PkgName); ok {
				used[t.set.File(name.Pos()).Name()+" "+of.Imported().Path()] = true
			}
		}
	}
	for i, file := range t.files {
		text := slices.Clone(t.contents[i])
		offset := func(pos token.Pos) int { return t.set.Position(pos).Offset }
		for _, spec := range file.Imports {
			if !used[t.paths[i]+" "+strings.Trim(spec.Path.Value, `"`)] && (spec.Name == nil || spec.Name.Name != "_") {
				blank(text[offset(spec.Pos()):offset(spec.End())])
			}
		}
		r.files[filepath.Base(t.paths[i])] = text
	}
	for _, d := range t.all {
		if d.isTest() {
			if d.why == "" {
				r.runs = append(r.runs, d.names[0])
			} else {
				r.left[d.names[0]] = d.why
			}
		}
		if d.why != "" {
			t.replaced = append(t.replaced, d.node)
		}
	}
	for _, d := range t.replaced {
		at := t.set.Position(d.Pos())
		blank(r.files[filepath.Base(at.Filename)][at.Offset:t.set.Position(d.End()).Offset])
	}
	return r
}

// blank leaves of a text its lines.
func blank(text []byte) {
	for i, b := range text {
		if b != '\n' {
			text[i] = ' '
		}
	}
}

// reasons counts tests that are left out by why, most first, for a log.
func (r turned) reasons() string {
	count := map[string]int{}
	for _, why := range r.left {
		count[why]++
	}
	order := slices.SortedFunc(maps.Keys(count), func(a, b string) int {
		if count[a] != count[b] {
			return count[b] - count[a]
		}
		return strings.Compare(a, b)
	})
	var b strings.Builder
	for _, why := range order {
		fmt.Fprintf(&b, "%5d  %s\n", count[why], why)
	}
	return b.String()
}
