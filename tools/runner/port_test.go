package runner

import "testing"

func TestFreePortIsNotEphemeral(t *testing.T) {
	end := ephemeralFrom()
	if end <= lowestPort {
		t.Skipf("outgoing connections are given ports from %d on", end)
	}
	for range 200 {
		port, err := freePort()
		if err != nil {
			t.Fatal(err)
		}
		if port < lowestPort || port >= end {
			t.Fatalf("port %d, want one in [%d, %d)", port, lowestPort, end)
		}
	}
}
