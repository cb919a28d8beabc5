package uiv2

// Names of types in texts for people, as user interfaces of this protocol know
// them. Source: PROTOCOL.md, What cannot be understood.
const (
	typeString   = "string"
	typeOptional = "string or null"
	typeNumber   = "u64"
	typeObject   = "object"
	typeList     = "array"
	typeLevel    = "Error, Warn, Info, Debug or Trace"
)

// maxShown is how much of a value stands in a text, in bytes.
const maxShown = 256

// hidden stands for a value that may be a secret.
const hidden = "****************"

func missing(name string) string { return "Required field was missing: " + name }

func mistyped(name, want string, raw []byte) string { return instead(name, want, shown(raw)) }

// mistypedSecret is mistyped without the value: texts are logged.
func mistypedSecret(name, want string) string { return instead(name, want, hidden) }

func instead(name, want, got string) string {
	return "Field " + name + " should have been of type " + want + ", but was '" + got + "' instead"
}

// shown is a value for people: the beginning of a long one.
func shown(raw []byte) string {
	if len(raw) > maxShown {
		return string(cut(raw, maxShown)) + "…"
	}
	return string(raw)
}
