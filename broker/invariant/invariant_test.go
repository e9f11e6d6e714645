package invariant

import "testing"

func TestCheck(t *testing.T) {
	Check(true, "holds")
	defer func() {
		got := recover()
		if want := "invariant broken: high watermark 7 above log end 5"; Enabled && got != want {
			t.Fatalf("panicked with %v, want %q", got, want)
		}
		if !Enabled && got != nil {
			t.Fatalf("panicked with %v though checks are not built in", got)
		}
	}()
	Check(false, "high watermark %d above log end %d", 7, 5)
	if Enabled {
		t.Fatal("a broken invariant went unseen")
	}
}
