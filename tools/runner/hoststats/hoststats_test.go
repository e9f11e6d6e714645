package hoststats

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestCPUClockOfAnotherProcess(t *testing.T) {
	cmd := exec.Command("sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; read x")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer stdin.Close()
	deadline := time.Now().Add(10 * time.Second)
	for {
		ns, err := ProcessCPUNs(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if ns > 20e6 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the loop used %d ns of CPU in 10 s", ns)
		}
		time.Sleep(time.Millisecond)
	}
	p, err := ReadProcess(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if p.RSSBytes == 0 || p.PeakRSSBytes < p.RSSBytes || p.Threads != 1 || p.MinorFaults == 0 {
		t.Errorf("reading %+v", p)
	}
}

func TestAGoneProcessIsAnError(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadProcess(cmd.Process.Pid); err == nil {
		t.Error("a reaped process could be read")
	}
}

func TestSplitCPU(t *testing.T) {
	if u, s := SplitCPU(1000, 3, 1); u != 750 || s != 250 {
		t.Errorf("got %d, %d", u, s)
	}
	if u, s := SplitCPU(1000, 0, 0); u != 1000 || s != 0 {
		t.Errorf("without ticks: got %d, %d", u, s)
	}
}

func TestSamplerSamplesThisProcess(t *testing.T) {
	s := Start(os.Getpid())
	s.SetClient(os.Getpid())
	time.Sleep(2200 * time.Millisecond)
	samples := s.Stop()
	if len(samples) != 2 {
		t.Fatalf("%d samples in 2.2 s", len(samples))
	}
	last := samples[1]
	if last.BrokerRSSBytes == 0 || last.ClientRSSBytes == 0 || last.Seconds < 0.8 || last.AvailableBytes == 0 || last.ContextSwitches <= 0 {
		t.Errorf("sample %+v", last)
	}
	if sum := last.UserCores + last.SystemCores + last.IdleCores + last.IOWaitCores + last.StealCores; sum < 0.5 {
		t.Errorf("the CPU split adds up to %.2f cores", sum)
	}
}
