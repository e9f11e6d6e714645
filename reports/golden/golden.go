// Package golden owns the comparison of what a test made with a file beside
// it. Tests of reports/… import it; programs do not.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew; read the diff")

// Rewriting tells whether golden files are to be written instead of compared.
func Rewriting() bool { return *rewrite }

// Check compares got with testdata/name of the test's folder and reports the
// difference; under -rewrite it writes the file.
func Check(t testing.TB, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if Rewriting() {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got); -rewrite if the change is meant:\n%s", name, diff)
	}
}
