package verdict

import (
	"encoding/json"
	"math"
)

// rowFields is Row without its methods, so that encoding does not come back here.
type rowFields Row

// rowJSON shadows the fields that may hold what JSON has no number for.
type rowJSON struct {
	rowFields
	High       *float64 `json:"high"`
	Upper      *float64 `json:"upper"`
	HolmWorse  *float64 `json:"holm_worse"`
	HolmBetter *float64 `json:"holm_better"`
}

// MarshalJSON writes null for a bound that is infinite and for an adjusted
// p-value of a row that is not gated.
func (r Row) MarshalJSON() ([]byte, error) {
	finite := func(v float64) *float64 {
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return nil
		}
		return &v
	}
	return json.Marshal(rowJSON{rowFields(r), finite(r.High), finite(r.Upper), finite(r.HolmWorse), finite(r.HolmBetter)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *Row) UnmarshalJSON(text []byte) error {
	var read rowJSON
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	or := func(v *float64, missing float64) float64 {
		if v == nil {
			return missing
		}
		return *v
	}
	*r = Row(read.rowFields)
	r.High, r.Upper = or(read.High, math.Inf(1)), or(read.Upper, math.Inf(1))
	r.HolmWorse, r.HolmBetter = or(read.HolmWorse, math.NaN()), or(read.HolmBetter, math.NaN())
	return nil
}
