// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package traffic

// A Problem is one fault in a Rollout, or in the objects of its router, that
// only a person can mend.
type Problem struct {
	// Object has the fault: "VirtualService payments/checkout". It is empty
	// when the Rollout itself has it.
	Object string
	// Message says what is wrong, as the rest of a sentence about Object, or
	// as a sentence of its own.
	Message string
	// Field is the path in the Rollout that asks for it.
	Field string
}

// Error is the problem in one line, the field last.
func (p *Problem) Error() string {
	out := p.Message
	if p.Object != "" {
		out = p.Object + " " + out
	}
	return out + ": " + p.Field
}

// Problems returns every Problem in err, in order.
func Problems(err error) []*Problem {
	switch e := err.(type) { //nolint:errorlint // this walks the tree of errors itself
	case nil:
		return nil
	case *Problem:
		return []*Problem{e}
	case interface{ Unwrap() []error }:
		var out []*Problem
		for _, each := range e.Unwrap() {
			out = append(out, Problems(each)...)
		}
		return out
	case interface{ Unwrap() error }:
		return Problems(e.Unwrap())
	default:
		return nil
	}
}
