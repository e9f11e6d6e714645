package fluxmq.compat;

import static fluxmq.Broker.await;
import static fluxmq.Broker.get;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fluxmq.Broker;
import fluxmq.RequiresBroker;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.clients.admin.AlterConfigsOptions;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConfigEntry.ConfigSource;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.admin.FeatureMetadata;
import org.apache.kafka.clients.admin.FeatureUpdate;
import org.apache.kafka.clients.admin.ListConfigResourcesOptions;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.QuorumInfo;
import org.apache.kafka.clients.admin.UpdateFeaturesOptions;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.ElectionNotNeededException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidReplicaAssignmentException;
import org.apache.kafka.common.errors.InvalidRequestException;
import org.apache.kafka.common.errors.InvalidUpdateVersionException;
import org.apache.kafka.common.errors.LogDirNotFoundException;
import org.apache.kafka.common.errors.NoReassignmentInProgressException;
import org.apache.kafka.common.errors.ResourceNotFoundException;
import org.apache.kafka.common.errors.SecurityDisabledException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What Apache Kafka's admin client asks of a cluster: settings of brokers, features, the quorum, elections, moves, ACLs, client metrics. */
@RequiresBroker
@Timeout(60)
class ClusterAdminTest {
    private static Admin admin;
    private static int node;

    @BeforeAll
    static void connect() throws Exception {
        admin = Broker.admin();
        node = get(admin.describeCluster().nodes()).iterator().next().id();
    }

    @AfterAll
    static void disconnect() {
        admin.close(Duration.ofSeconds(5));
    }

    private static ConfigResource broker(String name) {
        return new ConfigResource(ConfigResource.Type.BROKER, name);
    }

    private static Config describe(ConfigResource resource) throws Exception {
        return get(admin.describeConfigs(List.of(resource), new DescribeConfigsOptions().includeSynonyms(true)).all()).get(resource);
    }

    private static void alter(ConfigResource resource, OpType op, String name, String value) throws Exception {
        get(admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry(name, value), op)))).all());
    }

    @Test
    void altersSettingsOfOneAndOfEveryBroker() throws Exception {
        // A setting that no other test looks at.
        String setting = "log.cleaner.backoff.ms";
        ConfigResource one = broker(String.valueOf(node));
        ConfigResource every = broker("");
        try {
            alter(every, OpType.SET, setting, "14000");
            alter(one, OpType.SET, setting, "13000");
            await("both are seen", () -> describe(one).get(setting).value().equals("13000"));
            ConfigEntry entry = describe(one).get(setting);
            assertEquals(ConfigSource.DYNAMIC_BROKER_CONFIG, entry.source());
            assertFalse(entry.isReadOnly());
            List<ConfigSource> sources = entry.synonyms().stream().map(ConfigEntry.ConfigSynonym::source).toList();
            assertEquals(List.of(ConfigSource.DYNAMIC_BROKER_CONFIG, ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG), sources.subList(0, 2));
            assertEquals("14000", describe(every).get(setting).value());

            alter(one, OpType.DELETE, setting, null);
            await("what is of every broker holds", () -> describe(one).get(setting).value().equals("14000"));
            assertEquals(ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG, describe(one).get(setting).source());
        } finally {
            alter(one, OpType.DELETE, setting, null);
            alter(every, OpType.DELETE, setting, null);
        }
        await("nothing is altered any more", () -> describe(every).get(setting) == null);
    }

    @Test
    void refusesWhatABrokerCannotAlter() {
        assertThrows(InvalidRequestException.class, () -> alter(broker(String.valueOf(node)), OpType.SET, "log.dirs", "/elsewhere"));
        assertThrows(InvalidRequestException.class, () -> alter(broker(String.valueOf(node)), OpType.SET, "log.cleaner.backoff.ms", "soon"));
        assertThrows(InvalidRequestException.class, () -> alter(broker(""), OpType.SET, "log.retention.hours", "1"));
    }

    @Test
    void altersSettingsOfGroups() throws Exception {
        ConfigResource group = new ConfigResource(ConfigResource.Type.GROUP, Broker.name("settings"));
        assertTrue(describe(group).get("consumer.session.timeout.ms").isDefault());
        alter(group, OpType.SET, "consumer.session.timeout.ms", "50000");
        await("it is seen", () -> describe(group).get("consumer.session.timeout.ms").value().equals("50000"));
        assertThrows(InvalidConfigurationException.class, () -> alter(group, OpType.SET, "consumer.session.timeout.ms", "1"));
        assertTrue(get(admin.listConfigResources(Set.of(ConfigResource.Type.GROUP), new ListConfigResourcesOptions()).all()).contains(group));
        alter(group, OpType.DELETE, "consumer.session.timeout.ms", null);
    }

    @Test
    void altersClientMetrics() throws Exception {
        ConfigResource subscription = new ConfigResource(ConfigResource.Type.CLIENT_METRICS, Broker.name("metrics"));
        // Of no client: other tests' clients are not to be asked.
        alter(subscription, OpType.SET, "match", "client_id=nobody-has-this-name");
        alter(subscription, OpType.SET, "metrics", "org.apache.kafka.producer.");
        alter(subscription, OpType.SET, "interval.ms", "1000");
        await("it is seen", () -> describe(subscription).get("interval.ms").value().equals("1000"));
        assertEquals("org.apache.kafka.producer.", describe(subscription).get("metrics").value());
        assertThrows(InvalidRequestException.class, () -> alter(subscription, OpType.SET, "interval.ms", "1"));
        assertThrows(InvalidConfigurationException.class, () -> alter(subscription, OpType.SET, "match", "client_name=x"));
        assertTrue(get(admin.listConfigResources(Set.of(ConfigResource.Type.CLIENT_METRICS), new ListConfigResourcesOptions()).all()).contains(subscription));
        for (String name : List.of("match", "metrics", "interval.ms")) {
            alter(subscription, OpType.DELETE, name, null);
        }
        await("it is gone", () -> !get(admin.listConfigResources(Set.of(ConfigResource.Type.CLIENT_METRICS), new ListConfigResourcesOptions()).all()).contains(subscription));
    }

    @Test
    void altersLevelsOfLoggers() throws Exception {
        ConfigResource loggers = new ConfigResource(ConfigResource.Type.BROKER_LOGGER, String.valueOf(node));
        Config before = describe(loggers);
        assertNotNull(before.get("root"), "loggers: " + before.entries());
        String logger = before.entries().stream().map(ConfigEntry::name).filter(name -> !name.equals("root")).findFirst().orElseThrow();
        alter(loggers, OpType.SET, logger, "ERROR");
        try {
            ConfigEntry altered = describe(loggers).get(logger);
            assertEquals("ERROR", altered.value());
            assertEquals(ConfigSource.DYNAMIC_BROKER_LOGGER_CONFIG, altered.source());
            assertEquals(before.get("root").value(), describe(loggers).get("root").value());
        } finally {
            alter(loggers, OpType.DELETE, logger, null);
        }
        assertThrows(InvalidConfigurationException.class, () -> alter(loggers, OpType.SET, logger, "LOUD"));
        assertThrows(InvalidConfigurationException.class, () -> alter(loggers, OpType.SET, "no.such.logger", "INFO"));
        assertThrows(InvalidRequestException.class, () -> alter(loggers, OpType.DELETE, "root", null));
    }

    @Test
    void validatesAndRefusesFeatures() throws Exception {
        FeatureMetadata features = get(admin.describeFeatures().featureMetadata());
        assertTrue(features.finalizedFeatures().containsKey("group.version"), "finalized: " + features.finalizedFeatures());
        short level = features.finalizedFeatures().get("group.version").maxVersionLevel();
        UpdateFeaturesOptions only = new UpdateFeaturesOptions().validateOnly(true);
        // Other tests use what the feature brings, so it is only validated that it could go.
        get(admin.updateFeatures(Map.of("group.version", new FeatureUpdate((short) 0, FeatureUpdate.UpgradeType.SAFE_DOWNGRADE)), only).all());
        assertEquals(level, get(admin.describeFeatures().featureMetadata()).finalizedFeatures().get("group.version").maxVersionLevel());
        assertThrows(InvalidUpdateVersionException.class,
                () -> get(admin.updateFeatures(Map.of("group.version", new FeatureUpdate((short) 99, FeatureUpdate.UpgradeType.UPGRADE)), only).all()));
        assertThrows(InvalidUpdateVersionException.class,
                () -> get(admin.updateFeatures(Map.of("no.such.feature", new FeatureUpdate((short) 1, FeatureUpdate.UpgradeType.UPGRADE)), new UpdateFeaturesOptions()).all()));
        assertThrows(InvalidUpdateVersionException.class,
                () -> get(admin.updateFeatures(Map.of("transaction.version", new FeatureUpdate((short) 1, FeatureUpdate.UpgradeType.UPGRADE)), new UpdateFeaturesOptions()).all()));
    }

    @Test
    void describesTheQuorum() throws Exception {
        QuorumInfo quorum = get(admin.describeMetadataQuorum().quorumInfo());
        assertEquals(1, quorum.voters().size());
        assertEquals(quorum.leaderId(), quorum.voters().get(0).replicaId());
        assertTrue(quorum.highWatermark() > 0);
        assertEquals(quorum.highWatermark(), quorum.voters().get(0).logEndOffset());
        assertTrue(quorum.observers().isEmpty());
    }

    @Test
    void electsNobodyWhereALeaderIs() throws Exception {
        TopicPartition partition = new TopicPartition(Broker.topic(admin, "elections", 1), 0);
        TopicPartition absent = new TopicPartition(Broker.name("absent"), 0);
        for (ElectionType type : ElectionType.values()) {
            Map<TopicPartition, Optional<Throwable>> elected = get(admin.electLeaders(type, Set.of(partition, absent)).partitions());
            assertTrue(elected.get(partition).orElseThrow() instanceof ElectionNotNeededException, type + ": " + elected);
            assertTrue(elected.get(absent).orElseThrow() instanceof UnknownTopicOrPartitionException, type + ": " + elected);
        }
        assertTrue(get(admin.electLeaders(ElectionType.PREFERRED, null).partitions()).isEmpty());
    }

    @Test
    void movesNothing() throws Exception {
        TopicPartition partition = new TopicPartition(Broker.topic(admin, "moves", 1), 0);
        get(admin.alterPartitionReassignments(Map.of(partition, Optional.of(new NewPartitionReassignment(List.of(node))))).all());
        assertThrows(InvalidReplicaAssignmentException.class,
                () -> get(admin.alterPartitionReassignments(Map.of(partition, Optional.of(new NewPartitionReassignment(List.of(node, node + 1))))).all()));
        assertThrows(NoReassignmentInProgressException.class, () -> get(admin.alterPartitionReassignments(Map.of(partition, Optional.empty())).all()));
        assertTrue(get(admin.listPartitionReassignments().reassignments()).isEmpty());
        assertTrue(get(admin.listPartitionReassignments(Set.of(partition)).reassignments()).isEmpty());
    }

    @Test
    void movesNothingBetweenDirectories() throws Exception {
        String topic = Broker.topic(admin, "directories", 1);
        TopicPartitionReplica replica = new TopicPartitionReplica(topic, 0, node);
        String here = get(admin.describeLogDirs(List.of(node)).allDescriptions()).get(node).entrySet().stream()
                .filter(dir -> dir.getValue().replicaInfos().containsKey(new TopicPartition(topic, 0))).findFirst().orElseThrow().getKey();
        get(admin.alterReplicaLogDirs(Map.of(replica, here)).all());
        assertThrows(LogDirNotFoundException.class, () -> get(admin.alterReplicaLogDirs(Map.of(replica, "/no/such/directory")).all()));
    }

    @Test
    void saysThatNothingAuthorizes() {
        assertThrows(SecurityDisabledException.class, () -> get(admin.describeAcls(AclBindingFilter.ANY).values()));
        AclBinding acl = new AclBinding(new ResourcePattern(ResourceType.TOPIC, "t", PatternType.LITERAL),
                new AccessControlEntry("User:alice", "*", AclOperation.READ, AclPermissionType.ALLOW));
        assertThrows(SecurityDisabledException.class, () -> get(admin.createAcls(List.of(acl)).all()));
        assertThrows(SecurityDisabledException.class, () -> get(admin.deleteAcls(List.of(AclBindingFilter.ANY)).all()));
    }

    @Test
    void describesNoScramCredentials() throws Exception {
        assertTrue(get(admin.describeUserScramCredentials().users()).isEmpty());
        assertThrows(ResourceNotFoundException.class, () -> get(admin.describeUserScramCredentials(List.of("alice")).description("alice")));
    }

    @Test
    void listsTheResourcesThatHaveSettings() throws Exception {
        String topic = Broker.topic(admin, "resources", 1);
        var listed = get(admin.listConfigResources().all());
        for (ConfigResource want : List.of(new ConfigResource(ConfigResource.Type.TOPIC, topic), broker(String.valueOf(node)),
                new ConfigResource(ConfigResource.Type.BROKER_LOGGER, String.valueOf(node)))) {
            assertTrue(listed.contains(want), want + " is not among " + listed);
        }
    }

    @Test
    void validatesOnly() throws Exception {
        ConfigResource every = broker("");
        Map<ConfigResource, Collection<AlterConfigOp>> change = Map.of(every, List.of(new AlterConfigOp(new ConfigEntry("log.cleaner.io.buffer.size", "600000"), OpType.SET)));
        get(admin.incrementalAlterConfigs(change, new AlterConfigsOptions().validateOnly(true)).all());
        assertNull(describe(every).get("log.cleaner.io.buffer.size"));
    }
}
