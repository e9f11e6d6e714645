//go:build !faultinject

package fault

// Built is a constant, so that the compiler removes what depends on it.
const Built = false

// Start is for faultinject builds; see doc.go.
func Start(string) (notice string, err error) { panic("fault: not built in") }
