package reports

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/google/jsonschema-go/jsonschema"
)

// PublishedSchema is reports/schema/result.schema.json: the JSON Schema (2020-12) of result.json.
//
//go:embed schema/result.schema.json
var PublishedSchema []byte

// GenerateSchema makes the schema from the Go types; a test holds PublishedSchema to it.
func GenerateSchema() ([]byte, error) {
	schema, err := resultSchema()
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}

func resultSchema() (*jsonschema.Schema, error) {
	schema, err := jsonschema.For[Result](&jsonschema.ForOptions{
		TypeSchemas: map[reflect.Type]*jsonschema.Schema{
			reflect.TypeFor[map[string]any]():    {Types: []string{"null", "object"}},
			reflect.TypeFor[map[string]string](): {Types: []string{"null", "object"}, AdditionalProperties: &jsonschema.Schema{Type: "string"}},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("result schema: %w", err)
	}
	schema.Schema = "https://json-schema.org/draft/2020-12/schema"
	schema.Title = "FluxMQ benchmark result"
	schema.Description = "One fluxbench run against one target. Times are Unix nanoseconds, sizes bytes, CPU nanoseconds."
	return schema, nil
}

// CheckSchema validates JSON text against the schema.
func CheckSchema(text []byte) error {
	schema, err := resultSchema()
	if err != nil {
		return err
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		return fmt.Errorf("result schema: %w", err)
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	return resolved.Validate(value)
}
