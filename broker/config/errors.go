package config

import "errors"

// ErrInvalid is in the chain of every refused value.
var ErrInvalid = errors.New("invalid value")

// ErrUnknownKey is in the chain of a key that no setting has.
var ErrUnknownKey = errors.New("unknown setting")

// ErrUnsafe is in the chain of the refusal to listen beyond loopback without authentication.
var ErrUnsafe = errors.New("unsafe listener")
