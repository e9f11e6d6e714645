// Package tune owns the settings of the host that a measurement wants: which
// they are, what they should be and why, and how they are set so that they can
// be set back. fluxbench tune shows, applies and undoes them; the doctor asks
// here what to require.
//
// What Apply changes is written to an undo journal first, on disk, knob by
// knob; a process killed at any moment leaves a journal from which Undo
// restores every value. The package changes the running kernel only: it edits
// no file under /etc and no mount, and it never trades durability for a number.
//
// Words: a knob is one setting of this machine (scheduler/vda); a spec is the
// registry's line that it comes from (scheduler). Nothing here may be called
// concurrently on one journal; a second process is refused by a file lock.
package tune

// Spec is one line of the registry, the same on every machine.
type Spec struct {
	Name   string // of the knob, or of the group when a machine has several: governor/cpu0
	Files  string // where it lies, with * for what differs by machine
	Want   Want
	Why    string
	Source string // who asks for it
	Risk   string
}

const (
	sysctlDir   = "/proc/sys/"
	hugePages   = "/sys/kernel/mm/transparent_hugepage/enabled"
	swapsFile   = "/proc/swaps"
	bootIDFile  = "/proc/sys/kernel/random/boot_id"
	fromSeed    = "seed, System-Level Optimization"
	fromStorage = "seed, Storage Optimization"
)

// specs is the registry, in the order in which it is applied.
var specs = []Spec{
	sysctl("net.core.rmem_max", atLeast(134217728), "the largest receive buffer that a client or broker may ask for by name", fromSeed,
		"a program that asks for 128 MiB gets it; kernel memory for each such socket"),
	sysctl("net.core.wmem_max", atLeast(134217728), "the largest send buffer that may be asked for by name", fromSeed, "as above"),
	sysctl("net.ipv4.tcp_rmem", lastAtLeast(16777216), "how far the kernel's own sizing of a receive buffer goes, when nobody asks by name", "tuned, network-throughput",
		"more kernel memory for connections with a long way; none for idle ones"),
	sysctl("net.ipv4.tcp_wmem", lastAtLeast(16777216), "the same for send buffers", "tuned, network-throughput", "as above"),
	sysctl("net.core.somaxconn", atLeast(2048), "connections that wait to be accepted when many clients start at once", "tuned, throughput-performance", "none known"),
	sysctl("net.core.netdev_max_backlog", atLeast(2048), "packets that wait for a CPU; loopback goes through it, and what does not fit is dropped (second column of /proc/net/softnet_stat)",
		"Linux, admin-guide/sysctl/net", "a longer queue can mean a longer wait"),
	sysctl("vm.swappiness", atMost(10), "keeps the broker's heap in memory while the page cache fills with log segments", "tuned, throughput-performance",
		"with swap on, file pages go first when memory is short"),
	sysctl("vm.dirty_ratio", atLeast(40), "share of memory that may be dirty before writers are made to write back themselves", "tuned, throughput-performance",
		"more that nobody has flushed is lost in a power cut; what was acknowledged under log.flush=acks is flushed and is not"),
	sysctl("vm.dirty_background_ratio", atLeast(10), "share of memory at which write-back begins", "tuned, throughput-performance", "as above"),
	sysctl("kernel.numa_balancing", oneOf("0"), "unmaps pages to learn who uses them; the faults come at no fixed time", "tuned, network-latency",
		"processes that nobody binds may stay far from their memory"),
	{"transparent_hugepage", hugePages, oneOf("madvise", "never"), "with always the kernel looks for huge pages in the middle of a run", "tuned, network-latency; rpk redpanda tune", "none for programs that ask by madvise"},
	{"governor", "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor", oneOf("performance"), "the clock rate does not follow the load", fromSeed, "heat and power"},
	{"scheduler", "/sys/block/*/queue/scheduler", oneOf("none", "mq-deadline"), "no reordering for fairness; mq-deadline, once called deadline, on a rotating disk", fromStorage,
		"other users of the disk are served less evenly"},
	{"read_ahead_kb", "/sys/block/*/queue/read_ahead_kb", atLeast(4096), "a consumer that reads a log from disk reads it in order", "tuned, throughput-performance", "random reads fetch more than they need, and a sync waits behind each"},
	{"swap", swapsFile, Want{rule: ruleOff}, "no page of the broker or a client is fetched from disk in a run", fromSeed,
		"what is swapped out must fit into memory; the kernel says no when it does not"},
}

// sysctl is a spec under /proc/sys.
func sysctl(name string, want Want, why, source, risk string) Spec {
	return Spec{name, sysctlPath(name), want, why, source, risk}
}

// Never is what the harness refuses to do, whoever asks.
type Never struct{ Name, Line, Source, Why string }

// never holds the lines of tuning guides that are not followed.
var never = []Never{
	{"nobarrier", "mount -o discard,nobarrier /dev/ssd /data", fromStorage, "refused: loses acknowledged data on power cut: without barriers an fsync returns before the disk has the bytes. XFS has removed the option. " +
		"A log whose acknowledgement means nothing is not what is measured here; log.flush=os measures the same without lying"},
	{"sysctl.conf", "echo 'net.core.rmem_max = 134217728' >> /etc/sysctl.conf", fromSeed, "refused: a line appended at every run cannot be taken back; the running kernel is set instead, with a journal"},
	{"aslr", "kernel.randomize_va_space = 0", "Bencher's runner", "refused: where code and data lie changes what they cost; fresh processes with different layouts average that, one fixed layout hides it"},
}

// Advice is what only a person or a shell can do.
type Advice struct{ Name, Do, Why string }

var advice = []Advice{
	{"nofile", "ulimit -n 65536", "a limit belongs to a process and what it starts: set it in the shell that starts the run"},
	{"irqbalance", "systemctl stop irqbalance", "a service is stopped by whoever runs it; it moves interrupts in the middle of a run"},
	{"fstrim", "systemctl enable --now fstrim.timer", "the seed's discard is better done by the timer than by each deletion"},
}

// Wanted is the registry's word on a knob or group; the zero Want when there is none.
func Wanted(name string) Want {
	for i := range specs {
		if specs[i].Name == name {
			return specs[i].Want
		}
	}
	return Want{}
}
