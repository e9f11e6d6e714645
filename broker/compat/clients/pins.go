package main

import "time"

// Versions of what is installed. Go modules have theirs in go.mod, Apache
// Kafka's tools in tools/runner/kafka/pom.xml, kcat that of the Debian at hand.
const (
	newestJavaClient = "4.4.0" // java-tests/pom.xml has the same
	java3Client      = "3.9.2"
	java2Client      = "2.8.2"
	kafkaStreams     = "4.4.0"
	kafkaConnect     = "4.3.1" // of the connectors; the worker is that of Apache Kafka's tools
	confluentKafka   = "2.16.1"
	kafkajs          = "2.2.4"
	kfakeVersion     = "v0.0.0-20260918054303-01f206a7e32c" // not in go.mod: its sources are read, and nothing imports it

	mavenDependencyPlugin = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
)

// installBudget bounds one suite's installation, downloads included.
const installBudget = 15 * time.Minute
