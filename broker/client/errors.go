package client

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

// ErrInput is wrapped by every error that the caller's words caused and no broker saw.
var ErrInput = errors.New("invalid input")

// inputError keeps ErrInput's own words out of the sentence.
type inputError struct{ text string }

func (e inputError) Error() string        { return e.text }
func (e inputError) Is(target error) bool { return target == ErrInput }

func inputf(format string, args ...any) error { return inputError{fmt.Sprintf(format, args...)} }

// Error is one refusal.
type Error struct {
	// Subject is what was refused: "topic orders", "orders-0", "group billing".
	Subject string
	// Err is a *kerr.Error where a broker answered, else what stood in the way.
	Err error
	// Message is the broker's own words, "" for none.
	Message string
}

// Error is one sentence: subject, Kafka's name of the error, and what it means.
func (e *Error) Error() string {
	words := e.Reason()
	if e.Subject == "" {
		return words
	}
	return e.Subject + ": " + words
}

func (e *Error) Unwrap() error { return e.Err }

// Reason is Error without the subject.
func (e *Error) Reason() string {
	var kafka *kerr.Error
	switch {
	case errors.As(e.Err, &kafka):
		message := e.Message
		if message == "" || message == kafka.Message {
			message = kafka.Description
		}
		return kafka.Message + ": " + oneSentence(message)
	case errors.Is(e.Err, context.DeadlineExceeded):
		return "REQUEST_TIMED_OUT: the cluster did not answer within the timeout"
	case errors.Is(e.Err, context.Canceled):
		return "interrupted"
	case strings.Contains(e.Err.Error(), tooOld):
		return "UNSUPPORTED_VERSION: the broker does not serve this request"
	case e.Err.Error() == unknownBroker:
		return "BROKER_NOT_AVAILABLE: the cluster has no such broker"
	}
	return oneSentence(e.Err.Error())
}

// Words of franz-go's unexported errors: no version of a request is
// advertised; a node id is not in the metadata.
const (
	tooOld        = "broker is too old"
	unknownBroker = "unknown broker"
)

// oneSentence takes line breaks and the closing full stop away.
func oneSentence(text string) string {
	return strings.TrimSuffix(strings.Join(strings.Fields(text), " "), ".")
}

// refused makes the Error of a subject; nil when err is nil. An Error that
// already names something keeps its subject.
func refused(subject string, err error, message string) error {
	if err == nil {
		return nil
	}
	if own := (*Error)(nil); errors.As(err, &own) || errors.Is(err, ErrInput) {
		return err
	}
	return &Error{Subject: subject, Err: err, Message: message}
}

// isUnsupported tells that the broker does not have the API at all.
func isUnsupported(err error) bool {
	return err != nil && (errors.Is(err, kerr.UnsupportedVersion) || strings.Contains(err.Error(), tooOld))
}

// reason is the words for a row's error field, "" for nil.
func reason(err error) string {
	if err == nil {
		return ""
	}
	if own := (*Error)(nil); errors.As(err, &own) {
		return own.Reason()
	}
	return (&Error{Err: err}).Reason()
}

// summary is the error of an operation on many things of a kind ("topics"):
// nil when none was refused, the refusal itself when one thing was asked for.
func summary(kind string, asked int, refusals []error) error {
	switch {
	case len(refusals) == 0:
		return nil
	case asked == 1:
		return refusals[0]
	}
	return fmt.Errorf("%d of %d %s refused, the first: %w", len(refusals), asked, kind, refusals[0])
}
