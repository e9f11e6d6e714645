package telemetry

import (
	"math"
	"strconv"
)

// maxPoints bounds the numbers that one push is read for.
const maxPoints = 20_000

// Label is one attribute of a series.
type Label struct{ Name, Value string }

// point is one number of a metric as it was pushed. Its strings are copies.
type point struct {
	name   string
	labels []Label
	value  float64
	// sum tells a sum from a gauge. delta sums are what came since the last
	// push, the others since the client began; only monotonic ones never fall.
	sum, delta, monotonic bool
}

// Numbers of OTLP's AggregationTemporality.
const temporalityDelta = 1

// reading is one decoding of a push.
type reading struct {
	points  []point
	skipped int // numbers left out: histograms and summaries, and those beyond maxPoints
}

// readMetrics decodes an OTLP MetricsData message:
//
//	MetricsData      1 ResourceMetrics*
//	ResourceMetrics  1 Resource, 2 ScopeMetrics*
//	Resource         1 KeyValue*
//	ScopeMetrics     2 Metric*
//	Metric           1 name, 5 Gauge, 7 Sum, 9 to 11 histograms and summary
//	Gauge            1 NumberDataPoint*
//	Sum              1 NumberDataPoint*, 2 temporality, 3 monotonic
//	NumberDataPoint  4 double, 6 integer, 7 KeyValue*, 8 flags
//	KeyValue         1 key, 2 AnyValue
//	AnyValue         1 string, 2 bool, 3 integer, 4 double; others are left out
//
// A resource's attributes are labels of all that is below it. The error is
// errMalformed; what was read before it is of no use.
func readMetrics(data []byte) (*reading, error) {
	r := new(reading)
	return r, fields(data, func(f field) error {
		if f.number != 1 {
			return nil
		}
		if err := f.wants(wireBytes); err != nil {
			return err
		}
		return r.resource(f.bytes)
	})
}

// resource reads a ResourceMetrics.
func (r *reading) resource(message []byte) error {
	var labels []Label
	err := fields(message, func(f field) error { // the resource may come behind what it is of
		if f.number != 1 {
			return nil
		}
		if err := f.wants(wireBytes); err != nil {
			return err
		}
		return fields(f.bytes, func(f field) error {
			if f.number != 1 {
				return nil
			}
			return appendLabel(&labels, f)
		})
	})
	if err != nil {
		return err
	}
	return fields(message, func(f field) error {
		if f.number != 2 {
			return nil
		}
		if err := f.wants(wireBytes); err != nil {
			return err
		}
		return fields(f.bytes, func(f field) error {
			if f.number != 2 {
				return nil
			}
			if err := f.wants(wireBytes); err != nil {
				return err
			}
			return r.metric(f.bytes, labels)
		})
	})
}

// metric reads a Metric.
func (r *reading) metric(message []byte, labels []Label) error {
	var name string
	var gauge, sum []byte
	err := fields(message, func(f field) error {
		switch f.number {
		case 1:
			name = string(clip(f.bytes))
		case 5:
			gauge = f.bytes
		case 7:
			sum = f.bytes
		case 9, 10, 11:
			r.skipped++
		default:
			return nil
		}
		return f.wants(wireBytes)
	})
	if err != nil {
		return err
	}
	if err := r.numbers(gauge, point{name: name}, labels); err != nil {
		return err
	}
	of := point{name: name, sum: true}
	err = fields(sum, func(f field) error {
		switch f.number {
		case 2:
			of.delta = f.bits == temporalityDelta
			return f.wants(wireVarint)
		case 3:
			of.monotonic = f.bits != 0
			return f.wants(wireVarint)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.numbers(sum, of, labels)
}

// numbers reads the data points of a Gauge or Sum, each of them like of.
func (r *reading) numbers(message []byte, of point, labels []Label) error {
	return fields(message, func(f field) error {
		if f.number != 1 {
			return nil
		}
		if err := f.wants(wireBytes); err != nil {
			return err
		}
		if len(r.points) >= maxPoints {
			r.skipped++
			return nil
		}
		return r.number(f.bytes, of, labels)
	})
}

// noRecordedValue is the flag of a point that stands for none.
const noRecordedValue = 1

// number reads a NumberDataPoint.
func (r *reading) number(message []byte, p point, labels []Label) error {
	given, absent := false, false
	p.labels = append([]Label(nil), labels...)
	err := fields(message, func(f field) error {
		switch f.number {
		case 4:
			p.value, given = math.Float64frombits(f.bits), true
			return f.wants(wireFixed64)
		case 6:
			p.value, given = float64(int64(f.bits)), true
			return f.wants(wireFixed64)
		case 7:
			return appendLabel(&p.labels, f)
		case 8:
			absent = f.bits&noRecordedValue != 0
			return f.wants(wireVarint)
		}
		return nil
	})
	if err == nil && given && !absent {
		r.points = append(r.points, p)
	}
	return err
}

// appendLabel reads a KeyValue; one whose value is no single text or number, or
// that comes behind maxLabels others, is left out.
func appendLabel(labels *[]Label, f field) error {
	if err := f.wants(wireBytes); err != nil {
		return err
	}
	var label Label
	known := false
	err := fields(f.bytes, func(f field) error {
		switch f.number {
		case 1:
			label.Name = string(clip(f.bytes))
			return f.wants(wireBytes)
		case 2:
			if err := f.wants(wireBytes); err != nil {
				return err
			}
			var err error
			label.Value, known, err = anyValue(f.bytes)
			return err
		}
		return nil
	})
	if err == nil && known && len(*labels) < maxLabels {
		*labels = append(*labels, label)
	}
	return err
}

// anyValue reads an AnyValue as text; the last of several counts.
func anyValue(message []byte) (text string, known bool, err error) {
	err = fields(message, func(f field) error {
		known = true
		switch f.number {
		case 1:
			text = string(clip(f.bytes))
			return f.wants(wireBytes)
		case 2:
			text = strconv.FormatBool(f.bits != 0)
			return f.wants(wireVarint)
		case 3:
			text = strconv.FormatInt(int64(f.bits), 10)
			return f.wants(wireVarint)
		case 4:
			text = strconv.FormatFloat(math.Float64frombits(f.bits), 'g', -1, 64)
			return f.wants(wireFixed64)
		}
		known = false
		return nil
	})
	return text, known, err
}

// clip bounds a text before it is copied.
func clip(b []byte) []byte { return b[:min(len(b), maxTextBytes)] }
