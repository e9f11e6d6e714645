package config

import "errors"

// ErrInvalid is in the chain of every refused value.
var ErrInvalid = errors.New("invalid value")

// ErrType is in the chain of a refused value that is not of its setting's type.
var ErrType = errors.New("of another type")

// wrongType is a refusal with ErrType in its chain; its words stay.
type wrongType struct{ error }

func (e wrongType) Unwrap() []error { return []error{e.error, ErrType} }

// ErrUnknownKey is in the chain of a key that no setting has.
var ErrUnknownKey = errors.New("unknown setting")

// ErrUnsafe is in the chain of the refusal to listen beyond loopback without authentication.
var ErrUnsafe = errors.New("unsafe listener")
