package verdict

import (
	"math"
	"slices"

	"fluxmq/reports/inference"
	"fluxmq/reports/trial"
)

// upperConfidence is that of Row.Upper, one-sided.
const upperConfidence = 0.95

// Analyse returns a row for each metric of the workload over its kept blocks.
// See AnalyseBlocks.
func Analyse(w trial.Workload, confidence float64, seed uint64) []Row {
	return AnalyseBlocks(w.Name(), w.Metrics, w.Kept(), confidence, seed)
}

// AnalyseBlocks estimates each metric over the given blocks, in the order of
// metrics; name is that of the workload. A block in which a run does not know
// the metric is left out for this metric, Row.Blocks says how many are left,
// and a metric that is left with none has no row. The rows are not judged:
// Outcome is empty, and HolmWorse and HolmBetter are NaN, for both depend on
// which other rows there are. confidence is that of Low and High, between 0 and
// 1; A metric with a covariate is estimated and
// tested by its adjusted differences (inference.Adjust), where every block knows
// the covariate. seed matters above 40 blocks only, where sign patterns are drawn.
func AnalyseBlocks(name string, metrics []trial.Metric, blocks []trial.Block, confidence float64, seed uint64) []Row {
	var rows []Row
	for _, m := range metrics {
		var differences, covariate, opposite, base, head []float64
		for _, b := range blocks {
			d, known := m.Difference(b)
			if !known {
				continue
			}
			differences = append(differences, d)
			if x, known := m.CovariateDifference(b); known {
				covariate = append(covariate, x)
			}
			for _, r := range b.Runs {
				if r.Arm == trial.Base {
					base = append(base, r.Values[m.Name])
				} else {
					head = append(head, r.Values[m.Name])
				}
			}
		}
		if len(differences) == 0 {
			continue
		}
		raw := inference.HodgesLehmann(differences)
		differences, slope := inference.Adjust(differences, covariate)
		for _, d := range differences {
			opposite = append(opposite, -d)
		}
		estimate := inference.HodgesLehmann(differences)
		low, high := inference.SignedRankInterval(differences, confidence)
		row := Row{
			Workload: name, Metric: m, Blocks: len(differences), Base: spread(base), Head: spread(head),
			Ratio: m.Ratio(estimate), Low: m.Ratio(low), High: m.Ratio(high),
			Worsening: m.Worsening(estimate),
			Upper:     m.Worsening(inference.SignedRankUpper(differences, upperConfidence)),
			PWorse:    inference.SignFlip(differences, seed),
			PBetter:   inference.SignFlip(opposite, seed),
			HolmWorse: math.NaN(), HolmBetter: math.NaN(),
			RawRatio: m.Ratio(raw), Slope: slope,
		}
		if m.HigherWins { // a large difference is a small ratio there
			row.Low, row.High = row.High, row.Low
		}
		rows = append(rows, row)
	}
	return rows
}

func spread(values []float64) Spread {
	return Spread{Median: inference.Median(values), Min: slices.Min(values), Max: slices.Max(values), N: len(values)}
}

// worsenings returns Low and High as worsenings: the mild end, then the bad one.
func (r Row) worsenings() (mild, bad float64) {
	if r.Metric.HigherWins {
		return 1 - r.High, 1 - r.Low
	}
	return r.Low - 1, r.High - 1
}
