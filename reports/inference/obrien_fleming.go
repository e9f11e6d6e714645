package inference

import (
	"fmt"
	"math"
)

// OBrienFleming returns the one-sided p-value to reach at each look of a
// group-sequential test, so that the chance of reaching any of them when there
// is nothing to find is alpha. Classical O'Brien–Fleming boundaries (Biometrics
// 1979): the look at information t asks for z ≥ c/√t, very much early on and
// little less than alpha at the end.
//
// information holds the share of the planned data at each look, ascending to 1;
// 0 < alpha < 0.5. Anything else panics. Two looks at [0.5, 1] and alpha 0.01:
// z 3.300 and 2.334, p 0.00048 and 0.0098.
func OBrienFleming(alpha float64, information []float64) []float64 {
	if !(alpha > 0 && alpha < 0.5) {
		panic(fmt.Sprintf("inference: alpha is %v, want a value between 0 and 0.5", alpha))
	}
	before := 0.0
	for i, t := range information {
		if !(t > before) || i == len(information)-1 && t != 1 {
			panic(fmt.Sprintf("inference: the information at the looks is %v, want shares ascending to 1", information))
		}
		before = t
	}
	if len(information) == 1 {
		return []float64{alpha}
	}
	c := boundary(alpha, information)
	thresholds := make([]float64, len(information))
	for i, t := range information {
		thresholds[i] = min(alpha, NormalCDF(-c/math.Sqrt(t))) // a look that hardly ever crosses leaves the last all of alpha, and rounding more
	}
	return thresholds
}

// boundary returns the c at which the chance of crossing is alpha. On the scale
// of z that chance is nearly a straight line, so false position takes few steps
// (the Illinois variant of Dowell and Jarratt 1971, which keeps the bracket).
func boundary(alpha float64, information []float64) float64 {
	missing := func(c float64) float64 { return -NormalQuantile(crossing(c, information)) + NormalQuantile(alpha) }
	// One look at all the data crosses too often, a share of alpha for each look too rarely.
	low, high := -NormalQuantile(alpha), -NormalQuantile(alpha/float64(len(information)))
	below, above := missing(low), missing(high)
	for range 100 {
		c := low - below*(high-low)/(above-below)
		switch m := missing(c); {
		case math.Abs(m) < 1e-11:
			return c
		case m < 0:
			low, below, above = c, m, above/2
		default:
			high, above, below = c, m, below/2
		}
	}
	return high // the bracket's careful end
}

// crossing returns the chance that a Brownian motion without drift, seen at
// the given times, is at or above c at any of them. z√t at information t is
// such a motion, so c/√t on z is the constant c here. The density of the paths
// that are still below is carried from look to look by Simpson's rule
// (Armitage, McPherson and Rowe 1969).
func crossing(c float64, times []float64) float64 {
	const deviations = 8 // the grid starts that far below 0: less than 1e-15 of the paths
	deviation := math.Sqrt(times[0])
	total := NormalCDF(-c / deviation)
	var at, mass []float64 // points and density times Simpson weight of the look before
	for look := 1; look < len(times); look++ {
		// The step resolves the density and the step to the next look, whichever is narrower.
		step := math.Sqrt(times[look] - times[look-1])
		bottom := -deviations * math.Sqrt(times[look-1])
		intervals := 2 * int(math.Ceil((c-bottom)/min(deviation, step)*5))
		width := (c - bottom) / float64(intervals)
		points, masses := make([]float64, intervals+1), make([]float64, intervals+1)
		for i := range points {
			x := bottom + float64(i)*width
			density := normalDensity(x/deviation) / deviation
			if look > 1 {
				density = 0
				for j, y := range at {
					density += mass[j] * normalDensity((x-y)/deviation) / deviation
				}
			}
			points[i], masses[i] = x, density*simpson(i, intervals)*width/3
		}
		for i, x := range points {
			total += masses[i] * NormalCDF((x-c)/step)
		}
		at, mass, deviation = points, masses, step
	}
	return total
}

func simpson(i, intervals int) float64 {
	switch {
	case i == 0 || i == intervals:
		return 1
	case i%2 == 1:
		return 4
	}
	return 2
}
