package runner

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"fluxmq/reports"
	"fluxmq/scenarios"
)

// The test binary is also the broker and the client of the tests: it is
// started again with these variables, and `run` as first argument is the client.
const (
	fakeClientEnv = "FLUXBENCH_TEST_CLIENT" // how the client behaves
	fakeBrokerEnv = "FLUXBENCH_TEST_BROKER"
)

func TestMain(m *testing.M) {
	if how := os.Getenv(fakeClientEnv); how != "" && len(os.Args) > 1 {
		if os.Args[1] == "run" {
			os.Exit(fakeClient(how, os.Args[3], os.Args[5]))
		}
		if os.Args[1] == "--port" {
			os.Exit(fakeBroker(os.Getenv(fakeBrokerEnv), os.Args[2], os.Args[4]))
		}
		if os.Args[1] == "--version" {
			fmt.Println("fluxmq version 9.9.9")
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// fakeBroker answers ApiVersions until SIGTERM; "die" makes it end by itself soon after the first question.
func fakeBroker(how, port, dir string) int {
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	asked := make(chan struct{}, 1)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			answerApiVersions(conn)
			select {
			case asked <- struct{}{}:
			default:
			}
		}
	}()
	topic := filepath.Join(dir, "fluxbench-fake-0")
	if err := os.MkdirAll(topic, 0o755); err != nil {
		return 1
	}
	if how == "die" {
		<-asked
		time.Sleep(300 * time.Millisecond)
		fmt.Fprintln(os.Stderr, "the disk caught fire")
		return 7
	}
	<-stop
	listener.Close()
	if how == "dirty stop" {
		return 3
	}
	return 0
}

func answerApiVersions(conn net.Conn) {
	defer conn.Close()
	request := make([]byte, len(apiVersionsRequest))
	if _, err := io.ReadFull(conn, request); err != nil {
		return
	}
	_, _ = conn.Write([]byte{0, 0, 0, 10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}) // the asker closes early
}

// fakeClient keeps the contract of a load client, in the way asked for.
func fakeClient(how, jobFile, out string) int {
	file, err := os.Open(jobFile)
	if err != nil {
		return 2
	}
	job, err := scenarios.DecodeJob(file)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	say := func(text string) { fmt.Println(text) }
	say(`{"event":"phase","phase":"create","unix_ns":1}`)
	say(`{"event":"phase","phase":"measure","unix_ns":2}`)
	say(`{"event":"progress","unix_ns":3,"phase":"measure","sent":10,"acknowledged":9,"received":0,"rate_per_second":10}`)
	result := reports.ClientResult{Schema: 1, RunID: job.RunID, Client: job.Client, Round: job.Round, Scenario: job.Scenario, Records: 1000, RawBytes: 256000,
		ClientRate: 2000, DeliveredRate: 1000, WindowStartUnixNs: 1, DeliveredUnixNs: 2,
		Ledger: reports.Ledger{Checked: true, Complete: true, Expected: 1000, Read: 1000}}
	exit := 0
	switch how {
	case "wait":
		<-stop
		return 130
	case "garbage":
		say("hello")
	case "error":
		fmt.Fprintln(os.Stderr, "fluxload: no route to the broker")
		return 1
	case "silent":
		return 0
	case "lost", "quietly lost":
		result.Ledger.Lost, result.Ledger.Read = 64, 936
		result.Ledger.Findings = []reports.Finding{{Kind: "lost", Partition: 3, Offset: 48211, Count: 64, FirstSequence: 100, LastSequence: 163}}
		say(`{"event":"finding","kind":"lost","partition":3,"offset":48211,"count":64}`)
		if how == "lost" {
			exit = 6
		}
	case "unproven":
		result.Ledger.Checked = false
	}
	time.Sleep(20 * time.Millisecond)
	say(`{"event":"delivered","unix_ns":4}`)
	text, err := json.Marshal(result)
	if err != nil {
		return 1
	}
	if err := os.WriteFile(filepath.Join(out, clientResultFile), text, 0o644); err != nil {
		return 1
	}
	say(fmt.Sprintf(`{"event":"done","exit":%d}`, exit))
	return exit
}
