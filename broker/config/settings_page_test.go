package config

import (
	"os"
	"testing"
)

// TestSettingsPageIsCurrent holds docs/settings.md to the registry.
func TestSettingsPageIsCurrent(t *testing.T) {
	page, err := os.ReadFile("../../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != Markdown() {
		t.Error("docs/settings.md is not what the registry says; run `make docs`")
	}
}
