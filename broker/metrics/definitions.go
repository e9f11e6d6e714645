package metrics

// Kind is what a metric can do.
type Kind string

// The kinds that are used.
const (
	KindCounter   Kind = "counter"
	KindGauge     Kind = "gauge"
	KindHistogram Kind = "histogram"
)

// Definition documents one metric. Docs and the collector are made of it.
type Definition struct {
	Name string
	Kind Kind
	// Unit of the value: records, bytes, seconds, requests, partitions, …
	Unit string
	// Labels that every sample has.
	Labels []string
	// PerTopic adds, beside the sample for the whole broker, one for each
	// topic with the label topic.
	PerTopic bool
	// Help is one sentence.
	Help string
}

// Every metric by its place in the table below.
const (
	recordsIn = iota
	bytesIn
	bytesOut
	produceRequests
	fetchRequests
	failedProduce
	failedFetch
	conversions
	requests
	partitionCount
	leaderCount
	underReplicated
	underMinISR
	offlinePartitions
	activeController
	offlineLogDirs
	cleanerMapUse
	cleanerRecopy
	cleanerTime
	cleanerDelay
	cleanerDirty
	cleanerIdle
	uncleanablePartitions
	uncleanableBytes
	logSize
	connectionCount
	incomingBytes
	outgoingBytes
	brokers
	topicPartitions
	currentOffset
	oldestOffset
	groupMembers
	groupOffset
	groupLag
	groupLagSum
	buildInfo
	settingsInfo
	startTime
	requestSeconds
	appendSeconds
	fetchSeconds
	flushSeconds
	rebalances
	connectionsAccepted
	connectionsRefused
	connectionsParked
	malformedRequests
	omittedPartitions
	produceByteRate
	fetchByteRate
	requestTime
	mutationTokens
	throttled
	clientInstances
	clientPushes
	clientOmitted
	clientGauge
	clientSum
)

const topicMetrics = "kafka_server_brokertopicmetrics_"

var partitionLabels = []string{"topic", "partition"}

// quotaLabels say whom a quota's sensor measures: a client id of any user, a
// user's clients together, or one client id of one user.
var quotaLabels = []string{"user", "client_id"}

// clientLabels say whose metric it is and its name; its attributes follow.
var clientLabels = []string{"client_instance_id", "client_id", "metric"}

var definitions = [...]Definition{
	recordsIn:       {Name: topicMetrics + "messagesin_total", Kind: KindCounter, Unit: "records", PerTopic: true, Help: "Records that Produce requests wrote."},
	bytesIn:         {Name: topicMetrics + "bytesin_total", Kind: KindCounter, Unit: "bytes", PerTopic: true, Help: "Bytes of record batches that Produce requests wrote."},
	bytesOut:        {Name: topicMetrics + "bytesout_total", Kind: KindCounter, Unit: "bytes", PerTopic: true, Help: "Bytes of record batches that Fetch responses carried."},
	produceRequests: {Name: topicMetrics + "totalproducerequests_total", Kind: KindCounter, Unit: "requests", PerTopic: true, Help: "Produce requests, counted once for each partition they name."},
	fetchRequests:   {Name: topicMetrics + "totalfetchrequests_total", Kind: KindCounter, Unit: "requests", PerTopic: true, Help: "Fetch requests, counted once for each partition they read."},
	failedProduce:   {Name: topicMetrics + "failedproducerequests_total", Kind: KindCounter, Unit: "requests", PerTopic: true, Help: "Partitions of Produce requests that were answered with an error."},
	failedFetch:     {Name: topicMetrics + "failedfetchrequests_total", Kind: KindCounter, Unit: "requests", PerTopic: true, Help: "Partitions of Fetch requests that were answered with an error."},
	conversions:     {Name: topicMetrics + "producemessageconversions_total", Kind: KindCounter, Unit: "records", PerTopic: true, Help: "Records that are stored in another format or compression than Produce requests had them in."},
	requests:        {Name: "kafka_network_requestmetrics_requests_total", Kind: KindCounter, Unit: "requests", Labels: []string{"request", "version"}, Help: "Requests by API name and version."},

	partitionCount:    {Name: "kafka_server_replicamanager_partitioncount", Kind: KindGauge, Unit: "partitions", Help: "Partitions hosted by this node."},
	leaderCount:       {Name: "kafka_server_replicamanager_leadercount", Kind: KindGauge, Unit: "partitions", Help: "Partitions that this node leads."},
	underReplicated:   {Name: "kafka_server_replicamanager_underreplicatedpartitions", Kind: KindGauge, Unit: "partitions", Help: "Partitions led here with fewer in-sync replicas than replicas."},
	underMinISR:       {Name: "kafka_server_replicamanager_underminisrpartitioncount", Kind: KindGauge, Unit: "partitions", Help: "Partitions led here with fewer in-sync replicas than min.insync.replicas."},
	offlinePartitions: {Name: "kafka_controller_kafkacontroller_offlinepartitionscount", Kind: KindGauge, Unit: "partitions", Help: "Partitions whose log cannot be used, or that have no leader."},
	activeController:  {Name: "kafka_controller_kafkacontroller_activecontrollercount", Kind: KindGauge, Unit: "controllers", Help: "One on the node that is the active controller, zero elsewhere."},
	offlineLogDirs:    {Name: "kafka_log_logmanager_offlinelogdirectorycount", Kind: KindGauge, Unit: "directories", Help: "Log directories that failed and are not used any more."},
	cleanerMapUse:     {Name: "kafka_log_logcleaner_max_buffer_utilization_percent", Kind: KindGauge, Unit: "percent", Help: "Share of log.cleaner.dedupe.buffer.size that the last cleaning of a log needed."},
	cleanerRecopy:     {Name: "kafka_log_logcleaner_cleaner_recopy_percent", Kind: KindGauge, Unit: "percent", Help: "Share of the bytes read that the last cleaning of a log wrote again."},
	cleanerTime:       {Name: "kafka_log_logcleaner_max_clean_time_secs", Kind: KindGauge, Unit: "seconds", Help: "Time that the last cleaning of a log took."},
	cleanerDelay:      {Name: "kafka_log_logcleaner_max_compaction_delay_secs", Kind: KindGauge, Unit: "seconds", Help: "How much longer than max.compaction.lag.ms a compacted log has waited, the longest of all."},
	cleanerDirty:      {Name: "kafka_log_logcleanermanager_max_dirty_percent", Kind: KindGauge, Unit: "percent", Help: "Share of the dirtiest compacted log that has not been cleaned."},
	cleanerIdle:       {Name: "kafka_log_logcleanermanager_time_since_last_run_ms", Kind: KindGauge, Unit: "milliseconds", Help: "Time since the cleaner last looked for a log to clean."},

	uncleanablePartitions: {Name: "kafka_log_logcleanermanager_uncleanable_partitions_count", Kind: KindGauge, Unit: "partitions", Help: "Compacted partitions that hold something the cleaner cannot read, left alone until the next start."},
	uncleanableBytes:      {Name: "kafka_log_logcleanermanager_uncleanable_bytes", Kind: KindGauge, Unit: "bytes", Help: "Bytes that wait to be cleaned in partitions that cannot be."},

	logSize:         {Name: "kafka_log_log_size", Kind: KindGauge, Unit: "bytes", Labels: partitionLabels, Help: "Bytes of the segments of a partition's log."},
	connectionCount: {Name: "kafka_server_socket_server_metrics_connection_count", Kind: KindGauge, Unit: "connections", Labels: []string{"listener"}, Help: "Open client connections by listener."},
	incomingBytes:   {Name: "kafka_server_socket_server_metrics_incoming_byte_total", Kind: KindCounter, Unit: "bytes", Labels: []string{"listener"}, Help: "Bytes read from client connections, whole frames, by listener."},
	outgoingBytes:   {Name: "kafka_server_socket_server_metrics_outgoing_byte_total", Kind: KindCounter, Unit: "bytes", Labels: []string{"listener"}, Help: "Bytes written to client connections, whole frames and records sent from files, by listener."},

	brokers:         {Name: "kafka_brokers", Kind: KindGauge, Unit: "nodes", Help: "Nodes in the cluster."},
	topicPartitions: {Name: "kafka_topic_partitions", Kind: KindGauge, Unit: "partitions", Labels: []string{"topic"}, Help: "Partitions of a topic that this node hosts."},
	currentOffset:   {Name: "kafka_topic_partition_current_offset", Kind: KindGauge, Unit: "offset", Labels: partitionLabels, Help: "High watermark of a partition, the offset after the last record that consumers can read."},
	oldestOffset:    {Name: "kafka_topic_partition_oldest_offset", Kind: KindGauge, Unit: "offset", Labels: partitionLabels, Help: "Log start offset of a partition, the first record that consumers can read."},
	groupMembers:    {Name: "kafka_consumergroup_members", Kind: KindGauge, Unit: "members", Labels: []string{"consumergroup"}, Help: "Members of a consumer group."},
	groupOffset:     {Name: "kafka_consumergroup_current_offset", Kind: KindGauge, Unit: "offset", Labels: []string{"consumergroup", "topic", "partition"}, Help: "Offset that a consumer group committed for a partition."},
	groupLag:        {Name: "kafka_consumergroup_lag", Kind: KindGauge, Unit: "records", Labels: []string{"consumergroup", "topic", "partition"}, Help: "High watermark of a partition less the offset that a consumer group committed."},
	groupLagSum:     {Name: "kafka_consumergroup_lag_sum", Kind: KindGauge, Unit: "records", Labels: []string{"consumergroup", "topic"}, Help: "Sum of a consumer group's lag over the partitions of a topic."},

	buildInfo:           {Name: "fluxmq_build_info", Kind: KindGauge, Unit: "info", Labels: []string{"version", "commit", "go_version"}, Help: "Always 1; the labels tell which build runs."},
	settingsInfo:        {Name: "fluxmq_settings_info", Kind: KindGauge, Unit: "info", Labels: []string{"log_flush", "log_validation"}, Help: "Always 1; the labels tell the durability and validation modes, which every rate depends on."},
	startTime:           {Name: "fluxmq_start_time_seconds", Kind: KindGauge, Unit: "seconds", Help: "Unix time at which the broker began to serve."},
	requestSeconds:      {Name: "fluxmq_request_duration_seconds", Kind: KindHistogram, Unit: "seconds", Labels: []string{"request"}, Help: "Time from a request's last byte read to its response handed to the socket, waits included."},
	appendSeconds:       {Name: "fluxmq_append_duration_seconds", Kind: KindHistogram, Unit: "seconds", Help: "Time to validate and write the record batches of one partition of a Produce request."},
	fetchSeconds:        {Name: "fluxmq_fetch_duration_seconds", Kind: KindHistogram, Unit: "seconds", Help: "Time to find what one partition of a Fetch request may read, without sending it."},
	flushSeconds:        {Name: "fluxmq_flush_duration_seconds", Kind: KindHistogram, Unit: "seconds", Help: "Time of one fdatasync of a log."},
	rebalances:          {Name: "fluxmq_group_rebalances_total", Kind: KindCounter, Unit: "rebalances", Help: "Generations that consumer groups began."},
	connectionsAccepted: {Name: "fluxmq_connections_accepted_total", Kind: KindCounter, Unit: "connections", Help: "Client connections accepted."},
	connectionsRefused:  {Name: "fluxmq_connections_refused_total", Kind: KindCounter, Unit: "connections", Help: "Client connections closed at once because of a connection limit."},
	connectionsParked:   {Name: "fluxmq_connections_parked", Kind: KindGauge, Unit: "connections", Help: "Open client connections that carry nothing but heartbeats and are read together (fluxmq.heartbeat.coalescing.ms)."},
	malformedRequests:   {Name: "fluxmq_malformed_requests_total", Kind: KindCounter, Unit: "requests", Help: "Requests that closed their connection because they could not be read or answered."},
	produceByteRate:     {Name: "kafka_server_produce_byte_rate", Kind: KindGauge, Unit: "bytes per second", Labels: quotaLabels, Help: "Bytes of Produce requests a second, of clients that a quota for them binds."},
	fetchByteRate:       {Name: "kafka_server_fetch_byte_rate", Kind: KindGauge, Unit: "bytes per second", Labels: quotaLabels, Help: "Bytes of Fetch responses a second, of clients that a quota for them binds."},
	requestTime:         {Name: "kafka_server_request_request_time", Kind: KindGauge, Unit: "percent", Labels: quotaLabels, Help: "Time spent on requests in percent of one processor, of clients that a quota for it binds."},
	mutationTokens:      {Name: "kafka_server_controllermutation_tokens", Kind: KindGauge, Unit: "partitions", Labels: quotaLabels, Help: "Partitions that clients whom a quota for them binds may create or delete at once, below zero when they must wait."},
	throttled:           {Name: "fluxmq_throttled_total", Kind: KindCounter, Unit: "requests", Labels: []string{"quota"}, Help: "Requests after which a quota silenced their client, and for connection_creation_rate connections turned away, by Kafka's key of the quota."},
	omittedPartitions:   {Name: "fluxmq_omitted_partitions", Kind: KindGauge, Unit: "partitions", Help: "Partitions left out of the metrics by partition because there are more than the limit."},

	clientInstances: {Name: "fluxmq_client_metrics_instances", Kind: KindGauge, Unit: "clients", Help: "Clients that lately asked which of their metrics to push."},
	clientPushes:    {Name: "fluxmq_client_metrics_pushes_total", Kind: KindCounter, Unit: "requests", Labels: []string{"error"}, Help: "Pushes of metrics by clients, by the error that answered them, NONE for those taken."},
	clientOmitted:   {Name: "fluxmq_client_metrics_omitted_total", Kind: KindCounter, Unit: "numbers", Help: "Numbers that clients pushed and that are not shown because they are histograms, have no place or are beyond a limit."},
	clientGauge:     {Name: "fluxmq_client_gauge", Kind: KindGauge, Unit: "the client's", Labels: clientLabels, Help: "Latest value of a metric that a client pushed, with the metric's attributes as further labels."},
	clientSum:       {Name: "fluxmq_client_sum_total", Kind: KindCounter, Unit: "the client's", Labels: clientLabels, Help: "Sum of a metric that only rises and that a client pushed, with the metric's attributes as further labels."},
}

// Definitions returns every metric, for docs. The slice is the caller's.
func Definitions() []Definition { return append([]Definition(nil), definitions[:]...) }
