package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"fluxmq/broker/admin"
	"fluxmq/broker/cluster"
	"fluxmq/broker/commitlog"
	"fluxmq/broker/config"
	"fluxmq/broker/group"
	"fluxmq/broker/handler"
	"fluxmq/broker/loglevel"
	"fluxmq/broker/metrics"
	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"
	"fluxmq/broker/quota"
	"fluxmq/broker/server"
	"fluxmq/broker/share"
	"fluxmq/broker/telemetry"
	"fluxmq/broker/txn"
)

const (
	// frameMemory bounds the large request frames in flight, over all connections.
	frameMemory = 64 << 20
	// drainTimeout is how long connections get to finish when the node stops.
	drainTimeout = 10 * time.Second
	// maintainInterval is how often logs are maintained, or more often when
	// log.retention.check.interval.ms says so.
	maintainInterval = 5 * time.Second
	// coordinatorLoadTimeout is how long a start waits for groups, transactions
	// and share partitions to be loaded before it serves; they go on loading then.
	coordinatorLoadTimeout = 5 * time.Second
)

// Options are what a node is made of.
type Options struct {
	// Settings are the static ones, from config.Load. The node works on a copy.
	Settings *config.Node
	Log      *slog.Logger
	// Levels are those of Log's lines, by room. nil: they begin where Log shows
	// anything, and can be raised from there.
	Levels *loglevel.Set
	// FS is where files are; nil is the operating system's.
	FS commitlog.FS
	// Now is the clock that client quotas and client metrics are measured by; nil
	// is the system's.
	Now func() time.Time
}

// Node is one broker: Open, then Run once, or Close when it shall not run.
type Node struct {
	settings *config.Node
	lines    slog.Handler
	levels   *loglevel.Set
	log      *slog.Logger
	started  time.Time

	metrics      *metrics.Registry
	telemetry    *telemetry.Manager // nil when there is no admin HTTP to show what it has
	quotas       *quota.Manager
	metadata     *cluster.Metadata
	partitions   *partition.Set
	groups       *group.Coordinator
	transactions *txn.Coordinator
	shareState   *share.Coordinator
	shares       *share.Set
	handler      *handler.Handler
	server       *server.Server
	admin        *admin.Server // nil when off
	addrs        []net.Addr

	stopping atomic.Bool
	offline  atomic.Int64 // partitions that went offline
	dirsLost chan error   // capacity 1: the directories that are left cannot serve
}

// Open takes the ports and the data directory, recovers what is in it and
// builds the rooms. Clients that connect now wait until Run. An error is one
// sentence that says what is in the way; nothing stays open then.
func Open(o Options) (n *Node, err error) {
	settings := *o.Settings
	settings.Listeners = slices.Clone(settings.Listeners)
	settings.AdvertisedListeners = slices.Clone(settings.AdvertisedListeners)
	n = &Node{settings: &settings, started: time.Now(), metrics: new(metrics.Registry), dirsLost: make(chan error, 1)}
	n.openLog(o)
	if settings.AdminListener != "" {
		n.telemetry = telemetry.New(telemetry.Options{MaxBytes: settings.TelemetryMaxBytes, Now: o.Now})
	}
	fs := o.FS
	if fs == nil {
		fs = commitlog.OS{}
	}
	n.quotas = quota.New(quota.Options{
		Samples: settings.QuotaSamples, Window: settings.QuotaWindow,
		ControllerSamples: settings.ControllerQuotaSamples, ControllerWindow: settings.ControllerQuotaWindow, Now: o.Now,
	})
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	// Ports first: when one is taken, the data directory is not touched.
	if err := n.listen(); err != nil {
		return n, err
	}
	if err := n.openData(fs); err != nil {
		return n, explain(err)
	}
	n.openShares()
	n.openGroups()
	n.openTransactions()
	if err := n.startImage(); err != nil {
		return n, explain(err)
	}
	n.fillMetrics()
	if err := n.openAdmin(); err != nil {
		return n, err
	}
	if n.admin == nil {
		n.telemetry, n.handler.Telemetry = nil, nil
	}
	n.handler.Prepare()
	return n, nil
}

// openLog makes the loggers of the rooms.
func (n *Node) openLog(o Options) {
	log := o.Log
	if log == nil {
		log = slog.Default()
	}
	n.lines, n.levels = log.Handler(), o.Levels
	if n.levels == nil {
		floor := loglevel.FloorOf(n.lines)
		n.levels = loglevel.New(floor, floor)
	}
	n.log = n.logger("node")
}

// logger is the logger of a room.
func (n *Node) logger(room string) *slog.Logger { return n.levels.Logger("fluxmq."+room, n.lines) }

// explain puts what a person can act upon in front of an error.
func explain(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("there is no space left on the disk: %w", err)
	}
	return err
}

// listen opens the Kafka listeners and notes the ports that were bound.
func (n *Node) listen() error {
	s := n.settings
	n.handler = &handler.Handler{Config: s, Metrics: n.metrics, Quotas: n.quotas, Telemetry: n.telemetry, Loggers: n.levels}
	n.server = &server.Server{
		Handler: n.handler, Log: n.logger("server"), Metrics: n.metrics,
		MaxRequestBytes: s.SocketRequestMaxBytes, MaxConnections: s.MaxConnections, MaxConnectionsPerIP: s.MaxConnectionsPerIP,
		MaxIdle: s.ConnectionsMaxIdle, HeartbeatCoalescing: s.HeartbeatCoalescing, SendBuffer: s.SocketSendBufferBytes, ReceiveBuffer: s.SocketRecvBufferBytes,
		FrameMemory: frameMemory, Admit: n.quotas.Connection, Ended: n.connectionEnded,
	}
	for i := range s.Listeners {
		addr, err := n.server.Listen(s.Listeners[i].Address())
		if err != nil {
			return err
		}
		n.addrs = append(n.addrs, addr)
		s.Listeners[i].Port = addr.Port
		if s.AdvertisedListeners[i].Port == 0 {
			s.AdvertisedListeners[i].Port = addr.Port
		}
	}
	return nil
}

// connectionEnded tells the rooms that keep something for a connection; with its
// number, once. Called concurrently.
func (n *Node) connectionEnded(connection uint64) {
	n.handler.ConnectionClosed(connection)
	if n.telemetry != nil {
		n.telemetry.Disconnected(connection)
	}
}

// openData locks the data directory and opens metadata and partitions.
func (n *Node) openData(fs commitlog.FS) error {
	s := n.settings
	dirs, unopened, err := commitlog.OpenDirs(fs, s.LogDirs, commitlog.Identity{ClusterID: s.ClusterID, NodeID: s.NodeID}, partition.DefaultBootID())
	if err != nil {
		return err
	}
	for _, f := range unopened {
		n.log.Error("A log directory cannot be opened; its partitions are offline", "path", f.Path, "error", f.Err)
	}
	if err := refuseOtherMetadata(fs, dirs); err != nil {
		return closeUntouched(err, dirs)
	}
	dir := dirs[0] // the metadata's
	unclean := slices.ContainsFunc(dirs, func(d *commitlog.LogDir) bool { return !d.Clean })
	n.metadata, err = cluster.Open(fs, dir.Path, cluster.Options{
		Settings: s, ClusterID: dir.Identity.ClusterID, Unclean: unclean, Log: n.logger("cluster"),
	})
	if err != nil {
		return closeUntouched(err, dirs)
	}
	n.metadata.OnImage, n.metadata.OnFailed = n.onImage, n.onMetadataFailed
	n.handler.Metadata = n.metadata
	image := n.metadata.Image()
	n.quotas.Set(image.Quotas)
	n.server.SetLimits(connectionLimits(image.Settings))
	n.subscribe(image)
	n.partitions, err = partition.OpenSet(partition.SetConfig{
		LogDirs: dirs, Unopened: unopened, OnDirFailed: n.onDirFailed(), OnMoved: n.onMoved, FS: fs, Durability: durability(s.Flush),
		MoveBytesPerSecond: func() int64 { return n.metadata.Image().Settings.MoveBytesPerSecond }, CleanerRates: n.cleanerRates,
		TopicID: func(topic string) (partition.TopicID, bool) {
			if t := image.Topics[topic]; t != nil {
				return t.ID, true
			}
			return partition.TopicID{}, false
		},
		DeletedID: n.metadata.Deleted,
		ConfigFor: func(topic string) partition.Config {
			if t := image.Topics[topic]; t != nil {
				return partitionConfig(t.Config, image.Settings)
			}
			return partition.Config{RetentionBytes: -1, Retention: -1}
		},
		OnOffline: func(p *partition.Partition, err error) {
			if n.stopping.Load() && errors.Is(err, protocol.ErrNotLeaderOrFollower) {
				return // closed, as all are
			}
			n.offline.Add(1)
			n.log.Error("A partition is offline", "topic", p.Topic(), "partition", p.Index(), "error", err)
		},
		OnFlush: n.metrics.Flush.Observe,
		OnRecovered: func(p *partition.Partition, r commitlog.Recovered) {
			n.log.Info("A log was recovered", "topic", p.Topic(), "partition", p.Index(),
				"scanned_bytes", r.ScannedBytes, "cut_bytes", r.CutBytes, "log_end_offset", p.Offsets().LogEnd)
		},
	})
	n.handler.Partitions = n.partitions
	return err
}

func durability(flush string) partition.Durability {
	switch flush {
	case "os":
		return partition.FlushOS
	case "always":
		return partition.FlushAlways
	}
	return partition.FlushAcks
}

func (n *Node) openGroups() {
	n.groups = group.New(group.Config{
		Node: n.settings, Logger: n.logger("group"),
		Partitions: func() int32 {
			if t := n.metadata.Image().Topics[group.OffsetsTopic]; t != nil {
				return t.Partitions
			}
			return 0
		},
		Log: func(index int32) group.Log {
			if p := n.partitions.Find([]byte(group.OffsetsTopic), index); p != nil {
				return group.PartitionLog(p)
			}
			return nil
		},
		Topics: n.groupTopics, Settings: n.groupSettings, ShareState: shareStates{n},
	})
	n.handler.Groups = n.groups
}

// openAdmin starts the admin HTTP. That its default port is taken, by another
// broker on this machine usually, is not worth failing for.
func (n *Node) openAdmin() error {
	address := n.settings.AdminListener
	if address == "" {
		return nil
	}
	a := admin.New(address, admin.Deps{Ready: n.ready, Status: n.status, Metrics: n.metrics.Gatherer(), Log: n.logger("admin")})
	err := a.Start()
	switch {
	case err == nil:
		n.admin = a
	case errors.Is(err, syscall.EADDRINUSE) && address == config.Find(config.Broker, "fluxmq.admin.listener").Default:
		n.log.Warn("The admin HTTP is off: its default address is in use; set fluxmq.admin.listener", "address", address)
	default:
		return err
	}
	return nil
}

// Addrs are the addresses of the Kafka listeners, in the order of the settings.
func (n *Node) Addrs() []net.Addr { return n.addrs }

// AdminAddr is the address of the admin HTTP, nil when it is off.
func (n *Node) AdminAddr() net.Addr {
	if n.admin == nil {
		return nil
	}
	return n.admin.Addr()
}

// Run serves until ctx ends or a part fails, then stops everything in reverse
// order and closes it. nil after a clean stop.
func (n *Node) Run(ctx context.Context) error {
	background, stopBackground := context.WithCancel(context.Background())
	defer stopBackground()
	loading, cancel := context.WithTimeout(ctx, coordinatorLoadTimeout)
	if err := n.groups.Start(loading); err != nil {
		n.log.Warn("Groups are still being loaded", "error", err)
	}
	// After the groups: markers that a stop left unwritten go to their logs too.
	if err := n.transactions.Start(loading); err != nil {
		n.log.Warn("Transactions are still being loaded", "error", err)
	}
	if err := n.shareState.Start(loading); err != nil {
		n.log.Warn("Share partitions are still being loaded", "error", err)
	}
	n.shares.Start()
	cancel()
	n.announce()
	actors := []actor{
		until(ctx),
		{"log directories", func() error { return n.watchDirs(background) }, stopBackground},
		{"log moves", func() error { return n.partitions.RunMoves(background) }, stopBackground},
		{"log maintenance", func() error { return n.maintain(background) }, stopBackground},
		{"log removal", func() error { return n.removeDeleted(background) }, stopBackground},
		{"rates", func() error { return n.logRates(background) }, stopBackground},
	}
	if n.settings.Cleaner.Enabled {
		actors = append(actors, actor{"log cleaner", func() error { return n.compact(background) }, stopBackground})
	}
	err := runActors(append(actors, actor{"server", n.server.Serve, n.drain}))
	n.stopping.Store(true)
	err = errors.Join(err, n.Close())
	if err != nil {
		n.log.Error("The broker stopped", "error", err)
		return err
	}
	n.log.Info("The broker stopped", "clean", true)
	return nil
}

// announce is the one line about what runs.
func (n *Node) announce() {
	var listeners []string
	for i, l := range n.settings.Listeners {
		listeners = append(listeners, l.String()+" advertised as "+n.settings.AdvertisedListeners[i].Address())
	}
	adminAddr := "off"
	if n.admin != nil {
		adminAddr = n.admin.Addr().String()
	}
	n.log.Info("The broker is ready", "version", Version, "commit", Commit, "node_id", n.settings.NodeID,
		"listeners", strings.Join(listeners, ", "), "data_dir", strings.Join(n.settings.LogDirs, ", "),
		"log.flush", n.settings.Flush, "log.validation", n.settings.Validation.String(), "admin", adminAddr,
		"start_ms", time.Since(n.started).Milliseconds())
}

// maintain is the tick of the log directories, and of what quotas and telemetry
// remember.
func (n *Node) maintain(ctx context.Context) error {
	return n.everyTick(ctx, func() {
		if err := n.partitions.Maintain(ctx); err != nil && ctx.Err() == nil {
			n.log.Error("Maintaining the logs failed", "error", err)
		}
		n.quotas.Expire()
		if n.telemetry != nil {
			n.telemetry.Expire()
		}
	})
}

// removeDeleted removes what retention, the cleaner and deletions of topics left
// behind. It takes its time, and nothing waits for it.
func (n *Node) removeDeleted(ctx context.Context) error {
	return n.everyTick(ctx, func() {
		if err := n.partitions.Purge(ctx); err != nil && ctx.Err() == nil {
			n.log.Error("Removing deleted logs failed", "error", err)
		}
	})
}

// everyTick calls work every few seconds until ctx ends.
func (n *Node) everyTick(ctx context.Context, work func()) error {
	interval := maintainInterval
	if check := n.settings.RetentionCheckInterval; check > 0 {
		interval = min(interval, check)
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		work()
	}
}

// drain stops the server: connections finish what they have read.
func (n *Node) drain() {
	n.stopping.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := n.server.Stop(ctx); err != nil {
		n.log.Error("Closing the listeners failed", "error", err)
	}
}

// Close closes what is open, from the top down. Run calls it; call it only
// for a node that does not run.
func (n *Node) Close() error {
	n.drain()
	if n.admin != nil {
		// A scraper that is cut off is no failure of ours.
		if err := n.admin.Close(); err != nil {
			n.log.Warn("Closing the admin HTTP failed", "error", err)
		}
	}
	if n.transactions != nil {
		n.transactions.Close()
	}
	if n.groups != nil {
		n.groups.Close()
	}
	if n.shares != nil {
		n.shares.Close()
		n.shareState.Close()
	}
	var err error
	if n.metadata != nil {
		err = n.metadata.Close()
	}
	if n.partitions != nil {
		err = errors.Join(err, n.partitions.Close())
	}
	return err
}

// ready tells why requests are not served, or nil.
func (n *Node) ready() error {
	if n.stopping.Load() {
		return errors.New("the broker is stopping")
	}
	return nil
}

// status is what the admin HTTP shows of the node.
func (n *Node) status() any {
	image := n.metadata.Image()
	var partitions, bytes int64
	n.partitions.Each(func(p *partition.Partition) bool {
		partitions++
		bytes += p.SizeBytes()
		return true
	})
	return map[string]any{
		"version": Version, "commit": Commit, "go": runtime.Version(),
		"cluster_id": image.ClusterID, "node_id": n.settings.NodeID, "started": n.started.UTC(),
		"topics": len(image.Topics), "partitions": partitions, "offline_partitions": n.offline.Load(),
		"log_bytes": bytes, "connections": n.server.Connections(),
		"log_flush": n.settings.Flush, "log_validation": n.settings.Validation.String(),
	}
}
