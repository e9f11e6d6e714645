package kfake

import (
	"os"
	"sync"
	"sync/atomic"
)

// badEnds counts brokers that did not end well; TestMain fails when there are any.
var badEnds atomic.Int64

// scratch is the folder in which all brokers of this test binary keep their data. TestMain removes it.
var scratch = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "fluxmq-kfake-")
	must("a folder for brokers", err)
	return dir
})
