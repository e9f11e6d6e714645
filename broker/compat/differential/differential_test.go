package differential

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// passes are the two that are always made, or with DIFFERENTIAL_VERSIONS=all
// as many as there are versions of the API that has most.
func passes() []Pass {
	if os.Getenv("DIFFERENTIAL_VERSIONS") != "all" {
		return []Pass{Lowest, Highest}
	}
	all := []Pass{Lowest}
	for n := int16(1); n < mostVersions; n++ {
		all = append(all, Above(n))
	}
	return append(all, Highest)
}

// mostVersions is the largest distance between an API's lowest and highest version: that of Fetch.
const mostVersions = 14

// TestDifferential compares our broker with Apache Kafka. Every difference
// that allowed.go does not explain is an error, and so is an allowance that
// explains nothing. With DIFFERENTIAL_RESULT the result is kept in that file.
func TestDifferential(t *testing.T) {
	libs := kafkaLibs(t)
	result := Result{Version: ResultVersion, Kafka: kafkaRelease(t, libs)}
	used := map[use]int{}
	seen := map[string]bool{}
	for _, pass := range passes() {
		t.Run(pass.Name, func(t *testing.T) {
			cases, advertised, err := Run(ourBroker(t), apacheKafka(t, libs), pass, begin())
			if err != nil {
				t.Fatal(err)
			}
			result.APIs = advertised
			for _, c := range cases {
				key := fmt.Sprint(c.API, c.Version, c.Name)
				if seen[key] { // in a pass before, which reached the API's highest version
					continue
				}
				seen[key] = true
				judge(&c, Allowances, used)
				result.Cases = append(result.Cases, c)
				complain(t, c)
			}
			if len(cases) < 500 {
				t.Errorf("only %d cases were played", len(cases))
			}
		})
	}
	for n, a := range Allowances {
		for _, api := range strings.Split(a.API, "|") {
			if used[use{n, api}] == 0 {
				t.Errorf("nothing differs at %s %d-%d %q %q: take the allowance out", api, a.MinVersion, a.MaxVersion, a.Case, a.Path)
			}
		}
	}
	if path := os.Getenv("DIFFERENTIAL_RESULT"); path != "" {
		if err := result.Save(path); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKafkaAgainstItself is the test of the test: two Apache Kafkas have no
// differences, so that what the normaliser leaves to see is not chance. It
// also plays the scripts of APIs that our broker does not serve yet.
func TestKafkaAgainstItself(t *testing.T) {
	libs := kafkaLibs(t)
	for _, pass := range passes() {
		t.Run(pass.Name, func(t *testing.T) {
			cases, _, err := Run(apacheKafka(t, libs), apacheKafka(t, libs), pass, begin())
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range cases {
				judge(&c, nil, nil)
				complain(t, c)
			}
			if len(cases) < 800 {
				t.Errorf("only %d cases were played", len(cases))
			}
		})
	}
}

// begin is a time that records may be dated by: past, and within every retention.
func begin() time.Time { return time.Now().Add(-time.Minute).Truncate(time.Second) }

func complain(t *testing.T, c Case) {
	t.Helper()
	for _, d := range c.Differences {
		if d.Reason == "" {
			t.Errorf("%s %d, %s: %s is %s, Kafka's is %s", c.API, c.Version, c.Name, d.Path, d.Ours, d.Kafka)
		}
	}
}
