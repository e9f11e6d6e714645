package inference

import (
	"cmp"
	"math"
	"slices"
)

// Holm returns the p-values adjusted for being many, in the same order: to
// reject those at most alpha keeps the chance of any false rejection at alpha,
// however they depend on each other (Holm 1979). A NaN stays one and is not counted.
func Holm(p []float64) []float64 {
	var order []int
	for i, v := range p {
		if !math.IsNaN(v) {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	adjusted := slices.Clone(p)
	largest := 0.0 // a larger p never gets a smaller adjusted one
	for rank, i := range order {
		largest = max(largest, min(1, p[i]*float64(len(order)-rank)))
		adjusted[i] = largest
	}
	return adjusted
}
