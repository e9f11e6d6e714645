package config

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxPropertiesBytes bounds a properties file.
const maxPropertiesBytes = 4 << 20

// Property is one key and value of a file, with its line for messages.
type Property struct {
	Key, Value string
	Line       int // counted from 1, of the key's first character
}

// ParseProperties reads a Java .properties text: key=value, key: value or key
// value, # and ! comments, a backslash at the end of a line continues it, and
// \t \n \r \f \uXXXX and \<any> are escapes. The order is kept, and a later
// key overrides an earlier one when the caller applies them in turn. A
// malformed \u escape and a text over 4 MiB are errors that name the line.
func ParseProperties(r io.Reader) ([]Property, error) {
	in := bufio.NewScanner(io.LimitReader(r, maxPropertiesBytes+1))
	in.Buffer(nil, maxPropertiesBytes+2)
	in.Split(splitNaturalLines)
	var (
		properties []Property
		logical    strings.Builder
		line       int
		total      int
		start      int
		continued  bool
	)
	finish := func() error {
		key, value, err := splitProperty(logical.String())
		logical.Reset()
		continued = false
		if err != nil {
			return fmt.Errorf("line %d: %w", start, err)
		}
		if key != "" || value != "" {
			properties = append(properties, Property{key, value, start})
		}
		return nil
	}
	for in.Scan() {
		line++
		total += len(in.Bytes()) + 1
		if total > maxPropertiesBytes {
			return nil, fmt.Errorf("line %d: properties are longer than %d bytes", line, maxPropertiesBytes)
		}
		text := strings.TrimLeft(in.Text(), " \t\f")
		if !continued {
			if text == "" || text[0] == '#' || text[0] == '!' {
				continue
			}
			start = line
		}
		slashes := len(text) - len(strings.TrimRight(text, `\`))
		if slashes%2 == 1 {
			logical.WriteString(text[:len(text)-1])
			continued = true
			continue
		}
		logical.WriteString(text)
		if err := finish(); err != nil {
			return nil, err
		}
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", line+1, err)
	}
	if continued {
		if err := finish(); err != nil {
			return nil, err
		}
	}
	return properties, nil
}

// splitNaturalLines ends lines at \n, \r or \r\n.
func splitNaturalLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	for i, c := range data {
		switch {
		case c == '\n':
			return i + 1, data[:i], nil
		case c == '\r' && i+1 < len(data):
			if data[i+1] == '\n' {
				return i + 2, data[:i], nil
			}
			return i + 1, data[:i], nil
		case c == '\r' && atEOF:
			return i + 1, data[:i], nil
		}
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// splitProperty cuts one logical line at the first unescaped '=', ':' or blank.
func splitProperty(text string) (key, value string, err error) {
	end, i := len(text), 0
	for i = 0; i < len(text); i++ {
		c := text[i]
		if c == '\\' {
			i++
			continue
		}
		if c == '=' || c == ':' || c == ' ' || c == '\t' || c == '\f' {
			end = i
			break
		}
	}
	rest := strings.TrimLeft(text[min(end, len(text)):], " \t\f")
	if rest != "" && (rest[0] == '=' || rest[0] == ':') {
		rest = strings.TrimLeft(rest[1:], " \t\f")
	}
	if key, err = unescape(text[:end]); err != nil {
		return "", "", err
	}
	value, err = unescape(rest)
	return key, value, err
}

// unescape resolves backslash escapes.
func unescape(text string) (string, error) {
	if !strings.Contains(text, `\`) {
		return text, nil
	}
	var out strings.Builder
	var high rune // the first half of a surrogate pair, or 0
	flush := func() {
		if high != 0 {
			out.WriteRune(utf8.RuneError)
			high = 0
		}
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			flush()
			if text[i] != '\\' {
				out.WriteByte(text[i])
			}
			continue
		}
		i++
		if text[i] != 'u' {
			flush()
			out.WriteByte(unescapeByte(text[i]))
			continue
		}
		if i+4 >= len(text) {
			return "", fmt.Errorf(`\u needs four hexadecimal digits`)
		}
		unit, err := strconv.ParseUint(text[i+1:i+5], 16, 16)
		if err != nil {
			return "", fmt.Errorf(`\u needs four hexadecimal digits, got %q`, text[i+1:i+5])
		}
		i += 4
		r := rune(unit)
		switch {
		case high != 0 && utf16.IsSurrogate(r) && r >= 0xDC00:
			out.WriteRune(utf16.DecodeRune(high, r))
			high = 0
		case utf16.IsSurrogate(r) && r < 0xDC00:
			flush()
			high = r
		default:
			flush()
			out.WriteRune(r)
		}
	}
	flush()
	return out.String(), nil
}

func unescapeByte(c byte) byte {
	switch c {
	case 't':
		return '\t'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 'f':
		return '\f'
	}
	return c
}
