// Package profilediff owns the difference of CPU profiles between the arms of
// a trial: which function costs more CPU a message in the head, with an
// interval over the blocks. It reads the profiles that a trial's runs left
// behind, so it costs no measurement. The views of a verdict call it; it
// judges nothing. Intervals are each function's own: among hundreds of
// functions some exclude zero by chance, so the list shows where to look, and
// the gate alone says whether anything is slower.
package profilediff
