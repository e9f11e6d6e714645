package bench

import (
	"maps"
	"slices"
	"testing"

	"fluxmq/profiles"
)

func TestParseKnob(t *testing.T) {
	base, err := profiles.Load("default")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text                        string
		env                         []string
		overrides, client           map[string]string
		profile, amd64, failureText string
	}{
		{text: "GOGC=200", env: []string{"GOGC=200"}, profile: "default"},
		{text: "GOMAXPROCS=1", env: []string{"GOMAXPROCS=1"}, profile: "default"},
		{text: "GOAMD64=v3", profile: "default-v3", amd64: "v3"},
		{text: "native", profile: "native", amd64: "v3"},
		{text: "log.segment.bytes=1048576", overrides: map[string]string{"log.segment.bytes": "1048576"}, profile: "default"},
		{text: "batch.size=1", client: map[string]string{"batch.size": "1"}, profile: "default"},
		{text: "producer.client.id=x=y", client: map[string]string{"client.id": "x=y"}, profile: "default"},
		{text: "GOGC=", failureText: `knob "GOGC=" has no value`},
		{text: "SPEED=11", failureText: `unknown knob "SPEED=11": a profile, GOAMD64, GOGC, GOMEMLIMIT, GOMAXPROCS, a producer property or a broker setting`},
	} {
		k, err := ParseKnob(c.text, base)
		if c.failureText != "" {
			if err == nil || err.Error() != c.failureText {
				t.Errorf("%s: error %v", c.text, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		s := k.Side
		if !slices.Equal(s.Env, c.env) || !maps.Equal(s.Overrides, c.overrides) || !maps.Equal(s.Client, c.client) || s.Profile.Name != c.profile || s.Profile.Build.GOAMD64 != c.amd64 || s.Label != c.text {
			t.Errorf("%s became %+v, profile %+v", c.text, s, s.Profile)
		}
	}
	if base.Name != "default" || base.Build.GOAMD64 != "" {
		t.Error("the base profile was changed")
	}
	if _, err := ParseKnob("nosuch", base); err == nil {
		t.Error("an unknown profile is a knob")
	}
}
