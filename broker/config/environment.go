package config

import (
	"sort"
	"strings"
)

// notSettings are KAFKA_ variables of Kafka's scripts and images, not settings.
var notSettings = map[string]bool{
	"KAFKA_VERSION": true, "KAFKA_HEAP_OPTS": true, "KAFKA_LOG4J_OPTS": true, "KAFKA_OPTS": true, "KAFKA_JMX_OPTS": true,
	"KAFKA_JVM_PERFORMANCE_OPTS": true, "KAFKA_GC_LOG_OPTS": true, "KAFKA_LOG4J_ROOT_LOGLEVEL": true, "KAFKA_LOG4J_LOGGERS": true,
	"KAFKA_TOOLS_LOG4J_LOGLEVEL": true, "KAFKA_JMX_HOSTNAME": true, "KAFKA_JMX_PORT": true, "KAFKA_HOME": true, "KAFKA_DEBUG": true,
	"KAFKA_ADDR": true, "KAFKA_ADVERTISED_HOST_NAME": true, "KAFKA_CFG": true,
}

// EnvironmentKey turns the name of a variable without its prefix into a key,
// as Kafka's container image does: `___` is a hyphen, `__` an underscore, `_`
// a dot; the rest is lower-cased.
func EnvironmentKey(name string) string {
	var key strings.Builder
	for i := 0; i < len(name); {
		if name[i] != '_' {
			key.WriteByte(name[i])
			i++
			continue
		}
		run := 0
		for i+run < len(name) && name[i+run] == '_' && run < 3 {
			run++
		}
		key.WriteString([]string{".", "_", "-"}[run-1])
		i += run
	}
	return strings.ToLower(key.String())
}

// environmentSettings picks the settings out of an environment (os.Environ):
// KAFKA_*, FLUXMQ_* (which wins, and may leave out a leading "fluxmq.") and
// CLUSTER_ID. Variables that an orchestrator makes of a service named kafka
// (KAFKA_SERVICE_*, KAFKA_PORT*) are none of ours. The order is by name, so
// that messages do not change from start to start.
func environmentSettings(environment []string) []Property {
	var kafka, own []Property
	for _, variable := range environment {
		name, value, _ := strings.Cut(variable, "=")
		switch {
		case name == "CLUSTER_ID":
			kafka = append(kafka, Property{Key: "cluster.id", Value: value})
		case strings.HasPrefix(name, "FLUXMQ_") && len(name) > len("FLUXMQ_"):
			key := EnvironmentKey(strings.TrimPrefix(name, "FLUXMQ_"))
			if Find(Broker, key) == nil && Find(Broker, "fluxmq."+key) != nil {
				key = "fluxmq." + key
			}
			own = append(own, Property{Key: key, Value: value})
		case strings.HasPrefix(name, "KAFKA_") && len(name) > len("KAFKA_") && !notSettings[name] &&
			!strings.HasPrefix(name, "KAFKA_SERVICE_") && !strings.HasPrefix(name, "KAFKA_PORT"):
			kafka = append(kafka, Property{Key: EnvironmentKey(strings.TrimPrefix(name, "KAFKA_")), Value: value})
		}
	}
	for _, part := range [][]Property{kafka, own} {
		sort.SliceStable(part, func(i, j int) bool { return part[i].Key < part[j].Key })
	}
	return append(kafka, own...)
}
