package configs

import (
	_ "embed"
	"slices"
)

//go:embed group.schema.json
var schemaText []byte

// Schema returns the JSON Schema (2020-12) of the group file. Editors take
// completion and descriptions from it; what goes across entries, such as a row
// that names no device, only Load finds.
func Schema() []byte { return slices.Clone(schemaText) }
