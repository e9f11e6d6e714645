package history

import "math"

// welch is the difference of two means, after minus before, with the half
// width of its 95 % interval: variances of their own, degrees of freedom after
// Welch and Satterthwaite.
func welch(before, after []float64) level {
	meanBefore, varianceBefore := meanOf(before)
	meanAfter, varianceAfter := meanOf(after)
	a, b := varianceBefore/float64(len(before)), varianceAfter/float64(len(after))
	l := level{log: meanAfter - meanBefore}
	if a+b > 0 {
		freedom := (a + b) * (a + b) / (a*a/float64(len(before)-1) + b*b/float64(len(after)-1))
		l.half = student95(freedom) * math.Sqrt(a+b)
	}
	return l
}

// meanOf returns mean and unbiased variance.
func meanOf(values []float64) (mean, variance float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		variance += (v - mean) * (v - mean) / float64(len(values)-1)
	}
	return mean, variance
}

// student95 is the 97.5 % quantile of Student's t for two degrees of freedom
// or more, fractions too: Hill, Algorithm 396, CACM 1970, good to four digits
// from three degrees on.
func student95(freedom float64) float64 {
	const p = 0.05 // both tails
	n := math.Max(2, freedom)
	if n > 1e6 {
		return 1.959964
	}
	if n == 2 {
		return math.Sqrt(2/(p*(2-p)) - 2)
	}
	a := 1 / (n - 0.5)
	b := 48 / (a * a)
	c := ((20700*a/b-98)*a-16)*a + 96.36
	d := ((94.5/(b+c)-3)/b + 1) * math.Sqrt(a*math.Pi/2) * n
	y := math.Pow(d*p, 2/n)
	if y > 0.05+a {
		x := -1.959964
		y = x * x
		if n < 5 {
			c += 0.3 * (n - 4.5) * (x + 0.6)
		}
		c += (((0.05*d*x-5)*x-7)*x-2)*x + b
		y = (((((0.4*y+6.3)*y+36)*y+94.5)/c-y-3)/b + 1) * x
		y = math.Expm1(a * y * y)
	} else {
		y = ((1/(((n+6)/(n*y)-0.089*d-0.822)*(n+2)*3)+0.5/(n+4))*y-1)*(n+1)/(n+2) + 1/y
	}
	return math.Sqrt(n * y)
}
