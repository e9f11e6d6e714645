package config

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func TestParseProperties(t *testing.T) {
	for _, test := range []struct {
		name, in string
		want     []Property
	}{
		{"plain", "a=1\nb = 2\n", []Property{{"a", "1", 1}, {"b", "2", 2}}},
		{"colon and blank", "a: 1\nb 2\nc:=3\nd =:4", []Property{{"a", "1", 1}, {"b", "2", 2}, {"c", "=3", 3}, {"d", ":4", 4}}},
		{"comments and empty lines", "# x\n\n  ! y\n a=1", []Property{{"a", "1", 4}}},
		{"continued", "a=1,\\\n   2,\\\n\t3\nb=x\\\\\nc=y", []Property{{"a", "1,2,3", 1}, {"b", `x\`, 4}, {"c", "y", 5}}},
		{"a comment sign in a continuation is text", "a=1\\\n#2", []Property{{"a", "1#2", 1}}},
		{"escapes", `a\=b\:c\ d=\t\n\u0041\u00e9\q`, []Property{{"a=b:c d", "\t\nAéq", 1}}},
		{"a surrogate pair", `a=\ud83d\ude00`, []Property{{"a", "😀", 1}}},
		{"key alone", "a", []Property{{"a", "", 1}}},
		{"carriage returns", "a=1\r\nb=2\rc=3", []Property{{"a", "1", 1}, {"b", "2", 2}, {"c", "3", 3}}},
		{"trailing blanks stay", "a=1 ", []Property{{"a", "1 ", 1}}},
		{"a backslash ends the text", "a=1\\", []Property{{"a", "1", 1}}},
		{"nothing", "", nil},
	} {
		got, err := ParseProperties(strings.NewReader(test.in))
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %v %v, want %v", test.name, got, err, test.want)
		}
	}
	for _, bad := range []string{`a=\u12`, `x=1` + "\n" + `a=\uzzzz`} {
		if _, err := ParseProperties(strings.NewReader(bad)); err == nil || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := ParseProperties(strings.NewReader(strings.Repeat("a=b\n", maxPropertiesBytes/4+1))); err == nil {
		t.Error("a text without bound is read")
	}
}

func FuzzParseProperties(f *testing.F) {
	for _, seed := range []string{"a=1\nb : 2", "a=\\\n 1\\", `k\u0041\=\:=v\t`, "#c\r\n!d\r a b", "\\", "=", "=\x00\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		properties, err := ParseProperties(bytes.NewReader(in))
		if err != nil {
			return
		}
		lines := bytes.Count(in, []byte("\n")) + bytes.Count(in, []byte("\r")) + 1
		for _, p := range properties {
			if p.Line < 1 || p.Line > lines {
				t.Fatalf("line %d of %d", p.Line, lines)
			}
		}
		// Written again in the plainest form, it reads the same.
		var out strings.Builder
		for _, p := range properties {
			out.WriteString(escapeAll(p.Key) + "=" + escapeAll(p.Value) + "\n")
		}
		again, err := ParseProperties(strings.NewReader(out.String()))
		if err != nil || len(again) != len(properties) {
			t.Fatalf("again: %v, %d of %d", err, len(again), len(properties))
		}
		for i := range again {
			if again[i].Key != properties[i].Key || again[i].Value != properties[i].Value {
				t.Fatalf("again: %+v, want %+v", again[i], properties[i])
			}
		}
	})
}

// escapeAll escapes every byte that could mean something.
func escapeAll(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '\n':
			out.WriteString(`\n`)
		case '\r':
			out.WriteString(`\r`)
		case '\t':
			out.WriteString(`\t`)
		case '\f':
			out.WriteString(`\f`)
		case '=', ':', ' ', '#', '!', '\\':
			out.WriteString(`\` + string(c))
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}
