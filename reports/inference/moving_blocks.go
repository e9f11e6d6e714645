package inference

import (
	"fmt"
	"math/rand/v2"
)

// MovingBlocks returns size indexes into a pool of that many items, drawn with
// replacement in runs of run adjacent ones (the circular block bootstrap of
// Politis and Romano 1992): what lies next to each other stays so, and with it
// the noise that lasts longer than one item. After the last item comes the
// first. The last run is cut where size is reached. An empty pool or run panics.
func MovingBlocks(rng *rand.Rand, pool, size, run int) []int {
	if pool < 1 || run < 1 || size < 0 {
		panic(fmt.Sprintf("inference: %d items in runs of %d out of %d", size, run, pool))
	}
	drawn := make([]int, 0, size)
	for len(drawn) < size {
		start := rng.IntN(pool)
		for i := 0; i < run && len(drawn) < size; i++ {
			drawn = append(drawn, (start+i)%pool)
		}
	}
	return drawn
}
