package suite

import (
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// surefireReport is what is read of a TEST-*.xml of Maven Surefire.
type surefireReport struct {
	Cases []struct {
		Name    string        `xml:"name,attr"` // empty when the class failed around its tests
		Class   string        `xml:"classname,attr"`
		Failure *surefireWord `xml:"failure"`
		Error   *surefireWord `xml:"error"`
		Skipped *surefireWord `xml:"skipped"`
	} `xml:"testcase"`
}

type surefireWord struct {
	Message string `xml:"message,attr"`
}

// ReadSurefire reads the reports that Maven Surefire left in a folder.
func ReadSurefire(folder string) ([]Case, error) {
	files, err := filepath.Glob(filepath.Join(folder, "TEST-*.xml")) // ordered
	if err != nil {
		return nil, err
	}
	var cases []Case
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var report surefireReport
		if err := xml.Unmarshal(text, &report); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, t := range report.Cases {
			class := t.Class[strings.LastIndexByte(t.Class, '.')+1:]
			c := Case{Name: strings.Trim(class+"."+t.Name, "."), Outcome: Passed}
			switch {
			case t.Failure != nil:
				c.Outcome, c.Why = Failed, t.Failure.Message
			case t.Error != nil:
				c.Outcome, c.Why = Failed, t.Error.Message
			case t.Skipped != nil:
				c.Outcome, c.Why = Skipped, t.Skipped.Message
			}
			cases = append(cases, c)
		}
	}
	if len(cases) == 0 {
		return nil, ErrNoCases
	}
	return cases, nil
}
