"""librdkafka, through confluent-kafka, against the broker named by the one argument.

Prints a line of JSON for each case ({"case", "outcome", "why"}) and ends with 1 when one failed. Every wait has a limit.
"""

import json
import sys
import threading
import time
import traceback
import uuid

from confluent_kafka import OFFSET_BEGINNING, Consumer, ConsumerGroupTopicPartitions, IsolationLevel, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourceType

BOOTSTRAP = sys.argv[1]
LIMIT = 30.0  # seconds that any one thing may take
AN_HOUR_AGO = int(time.time() * 1000) - 3600000  # ms; records older than retention would fall to it while a case looks at them


def name(what):
    """A name that no other case has."""
    return f"{what}-{uuid.uuid4().hex[:8]}"


def check(holds, what):
    if not holds:
        raise AssertionError(what)


def same(got, want, what):
    check(got == want, f"{what}: got {got!r}, want {want!r}")


def wait_for(holds, what):
    """Calls holds, which works while it waits, until it is true."""
    deadline = time.monotonic() + LIMIT
    while not holds():
        check(time.monotonic() < deadline, f"not within {LIMIT} s: {what}")


admin = AdminClient({"bootstrap.servers": BOOTSTRAP})


def done(futures):
    """The results of a call of the admin client, by what it was about."""
    return {key: future.result(LIMIT) for key, future in futures.items()}


def topic(what, partitions, **config):
    made = name(what)
    done(admin.create_topics([NewTopic(made, num_partitions=partitions, replication_factor=1, config=config)], operation_timeout=LIMIT))
    return made


def producer(**config):
    return Producer({"bootstrap.servers": BOOTSTRAP, "message.timeout.ms": 20000, **config})


def produce(to, values, partition=None, **config):
    """Produces values and waits until all are acknowledged."""
    client = producer(**config)
    wrong = []
    for value in values:
        where = {} if partition is None else {"partition": partition}
        client.produce(to, value=value, on_delivery=lambda error, _: wrong.append(str(error)) if error else None, **where)
    same(client.flush(LIMIT), 0, "records that were not acknowledged")
    same(wrong, [], "errors of records")


def consumer(**config):
    settings = {"bootstrap.servers": BOOTSTRAP, "group.id": name("alone"), "auto.offset.reset": "earliest", "enable.auto.commit": False}
    settings.update({key.replace("_", "."): value for key, value in config.items()})
    return Consumer(settings)


def poll(client, into):
    """Waits a little for records and adds what there is to into; an error is raised.

    All that is there is taken: members poll in turn, and one record for each wait of the other would be ten a second.
    """
    for message in client.consume(500, 0.1):
        if message.error():
            raise KafkaException(message.error())
        into.append(message)


def read(where, partitions, count, **config):
    """Reads so many records from the beginning, and makes sure that no more follow at once."""
    client = consumer(**config)
    try:
        client.assign([TopicPartition(where, p, OFFSET_BEGINNING) for p in range(partitions)])
        got = []

        def enough():
            poll(client, got)
            return len(got) >= count

        wait_for(enough, f"{count} records of {where}")
        poll(client, got)
        same(len(got), count, f"records of {where}")
        return got
    finally:
        client.close()


def values(messages):
    return [m.value().decode() for m in messages]


def numbered(what, count):
    return [f"{what} {i}" for i in range(count)]


# --- Producing and fetching


def every_codec():
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        for idempotent in [False, True]:
            where = topic(f"codec-{codec}", 1)
            client = producer(**{"compression.type": codec, "enable.idempotence": idempotent, "linger.ms": 20})
            for i in range(500):
                client.produce(where, key=f"key {i}", value=f"value {i} " * 20, timestamp=AN_HOUR_AGO + i, headers=[("h", b"one"), ("h", b"two"), ("none", None), ("empty", b"")])
            same(client.flush(LIMIT), 0, "records that were not acknowledged")
            got = read(where, 1, 500)
            for i, m in enumerate(got):
                same((m.offset(), m.key(), m.value(), m.timestamp()[1]), (i, f"key {i}".encode(), (f"value {i} " * 20).encode(), AN_HOUR_AGO + i), codec)
                same(m.headers(), [("h", b"one"), ("h", b"two"), ("none", None), ("empty", b"")], "headers")


def every_acks():
    for acks in ["0", "1", "all"]:
        where = topic(f"acks-{acks}", 2)
        produce(where, numbered("v", 400), acks=acks)
        same(sorted(values(read(where, 2, 400))), sorted(numbered("v", 400)), f"acks={acks}")


def idempotence_keeps_order():
    where = topic("order", 1)
    produce(where, numbered("v", 3000), partition=0, **{"enable.idempotence": True, "batch.num.messages": 10, "linger.ms": 0})
    same(values(read(where, 1, 3000)), numbered("v", 3000), "the order")


def a_record_too_large_is_refused():
    where = topic("small", 1, **{"max.message.bytes": "2000"})
    client = producer()
    codes = []
    client.produce(where, value=b"x" * 5000, on_delivery=lambda error, _: codes.append(error.code() if error else None))
    same(client.flush(LIMIT), 0, "records left")
    same(codes, [KafkaError.MSG_SIZE_TOO_LARGE], "the error")


def a_topic_is_created_by_the_first_record():
    where = name("created")
    produce(where, numbered("v", 10))
    partitions = len(admin.list_topics(where, timeout=LIMIT).topics[where].partitions)
    same(len(read(where, partitions, 10)), 10, "records")


def offsets_for_times():
    where = topic("times", 1)
    client = producer()
    for i in range(50):
        client.produce(where, value=b"v", timestamp=AN_HOUR_AGO + i * 1000)
    same(client.flush(LIMIT), 0, "records left")
    reader = consumer()
    try:
        found = reader.offsets_for_times([TopicPartition(where, 0, AN_HOUR_AGO + 20001)], timeout=LIMIT)[0]
        same((found.error, found.offset), (None, 21), "the offset for a time")
        same(reader.get_watermark_offsets(TopicPartition(where, 0), timeout=LIMIT), (0, 50), "the watermarks")
    finally:
        reader.close()


# --- Groups


class Member:
    """A member of a group with what it read and what it has."""

    def __init__(self, group, where, **config):
        self.read = []
        self.has = set()
        self.lost = set()
        self.cooperative = False
        self.client = consumer(group_id=group, **config)
        self.client.subscribe([where], on_assign=self.assigned, on_revoke=self.revoked)

    def assigned(self, client, partitions):
        # confluent-kafka assigns by itself what a callback leaves alone.
        self.has |= {p.partition for p in partitions}

    def revoked(self, client, partitions):
        gone = {p.partition for p in partitions}
        self.lost |= gone
        self.has -= gone

    def poll(self):
        poll(self.client, self.read)


def together(members, holds, what):
    def turn():
        for m in members:
            m.poll()
        return holds()

    wait_for(turn, what)


def closed(*members):
    """Closes members side by side: one that leaves may wait for another's answer."""
    threads = [threading.Thread(target=m.client.close) for m in members]
    for t in threads:
        t.start()
    for t in threads:
        t.join(LIMIT)
    check(not any(t.is_alive() for t in threads), "a member did not close")


def share_and_take_over(**config):
    where, group = topic("share", 6), name("share")
    first, second = Member(group, where, **config), Member(group, where, **config)
    try:
        together([first, second], lambda: len(first.has) == 3 and len(second.has) == 3, "three partitions each")
        same(first.has | second.has, set(range(6)), "all partitions")
        produce(where, numbered("a", 600))
        together([first, second], lambda: len(first.read) + len(second.read) >= 600, "all records")
        same(sorted(values(first.read + second.read)), sorted(numbered("a", 600)), "each record once")
        first.client.commit(asynchronous=False)
        second.client.commit(asynchronous=False)
        closed(first)
        together([second], lambda: second.has == set(range(6)), "the one that stays has all")
        before = len(second.read)
        produce(where, numbered("b", 60))
        together([second], lambda: len(second.read) >= before + 60, "the rest")
        same(sorted(values(second.read[before:])), sorted(numbered("b", 60)), "nothing comes again")
    finally:
        closed(second)
    committed = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(LIMIT)
    same(sum(p.offset for p in committed.topic_partitions), 600, "the committed offsets")


FAST = {"session_timeout_ms": 10000, "heartbeat_interval_ms": 300}


def classic_members_share_and_take_over():
    share_and_take_over(partition_assignment_strategy="range", **FAST)


def consumer_protocol_members_share_and_take_over():
    share_and_take_over(group_protocol="consumer")


def consumer_protocol_range_assignor():
    share_and_take_over(group_protocol="consumer", group_remote_assignor="range")


def cooperative_members_keep_what_stays_theirs():
    where, group = topic("cooperative", 6), name("cooperative")
    config = {"partition_assignment_strategy": "cooperative-sticky", **FAST}
    first = Member(group, where, **config)
    try:
        together([first], lambda: len(first.has) == 6, "the first has all")
        second = Member(group, where, **config)
        try:
            together([first, second], lambda: len(first.has) == 3 and len(second.has) == 3, "three each")
            same(first.lost, second.has, "only what moved was revoked")
        finally:
            closed(second)
    finally:
        closed(first)


def a_static_member_comes_back_without_a_rebalance():
    where, group = topic("static", 4), name("static")
    one = Member(group, where, group_instance_id="one", **FAST)
    other = Member(group, where, group_instance_id="two", **FAST)
    try:
        together([one, other], lambda: len(one.has) == 2 and len(other.has) == 2, "two each")
        had, others = set(one.has), set(other.has)
        other.lost.clear()
        closed(one)
        one = Member(group, where, group_instance_id="one", **FAST)
        together([one, other], lambda: len(one.has) == 2, "it is back")
        same(one.has, had, "what it had")
        same((other.has, other.lost), (others, set()), "the other noticed nothing")
    finally:
        closed(one, other)


# --- Transactions


def transactional(identity):
    client = producer(**{"transactional.id": identity, "transaction.timeout.ms": 20000})
    client.init_transactions(LIMIT)
    return client


def only_committed_transactions_are_read():
    where = topic("txn", 2)
    client = transactional(name("txn"))
    for i in range(6):
        client.begin_transaction()
        for p in range(2):
            client.produce(where, value=f"{p} {i}", partition=p)
        if i % 2 == 0:
            client.commit_transaction(LIMIT)
        else:
            same(client.flush(LIMIT), 0, "records left")
            client.abort_transaction(LIMIT)
    want = sorted(f"{p} {i}" for p in range(2) for i in range(0, 6, 2))
    same(sorted(values(read(where, 2, 6, isolation_level="read_committed"))), want, "read committed")
    same(len(read(where, 2, 12, isolation_level="read_uncommitted")), 12, "read uncommitted")


def offsets_go_with_the_transaction(**config):
    where, to, group = topic("in", 1), topic("out", 1), name("copier")
    produce(where, numbered("v", 10))
    client = transactional(name("copier"))
    copier = Member(group, where, **config)
    try:
        together([copier], lambda: len(copier.read) == 10, "the input")

        def send(upto):
            client.begin_transaction()
            for m in copier.read[:upto]:
                client.produce(to, value=m.value())
            client.send_offsets_to_transaction([TopicPartition(where, 0, upto)], copier.client.consumer_group_metadata(), LIMIT)

        send(4)
        client.abort_transaction(LIMIT)
        check(copier.client.committed([TopicPartition(where, 0)], timeout=LIMIT)[0].offset < 0, "an aborted transaction commits no offset")
        send(7)
        client.commit_transaction(LIMIT)
        same(copier.client.committed([TopicPartition(where, 0)], timeout=LIMIT)[0].offset, 7, "the committed offset")
    finally:
        closed(copier)
    same(values(read(to, 1, 7, isolation_level="read_committed")), numbered("v", 7), "the output")


def offsets_go_with_the_transaction_of_a_classic_member():
    offsets_go_with_the_transaction(**FAST)


def offsets_go_with_the_transaction_of_a_consumer_protocol_member():
    offsets_go_with_the_transaction(group_protocol="consumer")


def a_successor_fences():
    where, identity = topic("fence", 1), name("fence")
    old = transactional(identity)
    old.begin_transaction()
    old.produce(where, value=b"lost")
    same(old.flush(LIMIT), 0, "records left")
    successor = transactional(identity)
    try:
        old.commit_transaction(LIMIT)
        check(False, "a producer committed though it had a successor")
    except KafkaException as e:
        check(e.args[0].fatal() or e.args[0].code() in (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH), str(e))
    successor.begin_transaction()
    successor.produce(where, value=b"kept")
    successor.commit_transaction(LIMIT)
    same(values(read(where, 1, 1, isolation_level="read_committed")), ["kept"], "read committed")


# --- Administration


def refused(code, call):
    try:
        call()
    except KafkaException as e:
        same(e.args[0].code(), code, "the error")
        return
    check(False, f"it was not refused with {code}")


def topics_live_and_end():
    where = topic("life", 3, **{"retention.ms": "3600000"})
    refused(KafkaError.TOPIC_ALREADY_EXISTS, lambda: done(admin.create_topics([NewTopic(where, num_partitions=1, replication_factor=1)])))
    refused(KafkaError.INVALID_PARTITIONS, lambda: done(admin.create_topics([NewTopic(name("none"), num_partitions=0, replication_factor=1)])))
    listed = admin.list_topics(timeout=LIMIT)
    same(sorted(listed.topics[where].partitions), [0, 1, 2], "the partitions")
    done(admin.create_partitions([NewPartitions(where, 5)]))
    wait_for(lambda: len(admin.list_topics(where, timeout=LIMIT).topics[where].partitions) == 5, "five partitions")
    done(admin.delete_topics([where], operation_timeout=LIMIT))
    wait_for(lambda: where not in admin.list_topics(timeout=LIMIT).topics, "the topic is gone")
    refused(KafkaError.UNKNOWN_TOPIC_OR_PART, lambda: done(admin.delete_topics([where])))


def configs_are_described_and_altered():
    where = topic("config", 1)

    def described():
        resource = ConfigResource(ResourceType.TOPIC, where)
        return done(admin.describe_configs([resource]))[resource]

    def alter(operation, key, value):
        done(admin.incremental_alter_configs([ConfigResource(ResourceType.TOPIC, where, incremental_configs=[ConfigEntry(key, value, incremental_operation=operation)])]))

    check(described()["retention.ms"].is_default, "retention.ms is the default")
    alter(AlterConfigOpType.SET, "retention.ms", "7200000")
    wait_for(lambda: described()["retention.ms"].value == "7200000", "the change")
    alter(AlterConfigOpType.DELETE, "retention.ms", None)
    wait_for(lambda: described()["retention.ms"].is_default, "the default again")
    refused(KafkaError.INVALID_CONFIG, lambda: alter(AlterConfigOpType.SET, "retention.ms", "soon"))


def offsets_are_listed_and_records_deleted():
    where = topic("offsets", 1)
    produce(where, numbered("v", 10))
    partition = TopicPartition(where, 0)

    def offset(spec):
        (found,) = done(admin.list_offsets({partition: spec}, isolation_level=IsolationLevel.READ_UNCOMMITTED)).values()
        return found.offset

    same((offset(OffsetSpec.earliest()), offset(OffsetSpec.latest())), (0, 10), "the offsets")
    (deleted,) = done(admin.delete_records([TopicPartition(where, 0, 4)])).values()
    same(deleted.low_watermark, 4, "the low watermark")
    same(offset(OffsetSpec.earliest()), 4, "the log start offset")


def the_cluster_is_described():
    cluster = admin.describe_cluster(request_timeout=LIMIT).result(LIMIT)
    check(cluster.cluster_id, "a cluster id")
    check(cluster.controller.id in [n.id for n in cluster.nodes], "the controller is a node")


def groups_are_listed_described_altered_and_deleted():
    where, group = topic("groups", 2), name("groups")
    produce(where, numbered("v", 20))
    member = Member(group, where, client_id="member-one", **FAST)
    try:
        together([member], lambda: len(member.read) == 20, "the records")
        member.client.commit(asynchronous=False)
        description = admin.describe_consumer_groups([group], request_timeout=LIMIT)[group].result(LIMIT)
        same((description.state.name, len(description.members), description.members[0].client_id), ("STABLE", 1, "member-one"), "the description")
        check(group in [g.group_id for g in admin.list_consumer_groups(request_timeout=LIMIT).result(LIMIT).valid], "the group is listed")
        refused(KafkaError.NON_EMPTY_GROUP, lambda: done(admin.delete_consumer_groups([group], request_timeout=LIMIT)))
    finally:
        closed(member)
    wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(where, 0, 3)])
    admin.alter_consumer_group_offsets([wanted])[group].result(LIMIT)
    committed = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, [TopicPartition(where, 0)])])[group].result(LIMIT)
    same(committed.topic_partitions[0].offset, 3, "the altered offset")
    done(admin.delete_consumer_groups([group], request_timeout=LIMIT))
    check(group not in [g.group_id for g in admin.list_consumer_groups(request_timeout=LIMIT).result(LIMIT).valid], "the group is gone")


CASES = [
    every_codec, every_acks, idempotence_keeps_order, a_record_too_large_is_refused, a_topic_is_created_by_the_first_record, offsets_for_times,
    classic_members_share_and_take_over, consumer_protocol_members_share_and_take_over, consumer_protocol_range_assignor,
    cooperative_members_keep_what_stays_theirs, a_static_member_comes_back_without_a_rebalance,
    only_committed_transactions_are_read, offsets_go_with_the_transaction_of_a_classic_member, offsets_go_with_the_transaction_of_a_consumer_protocol_member, a_successor_fences,
    topics_live_and_end, configs_are_described_and_altered, offsets_are_listed_and_records_deleted, the_cluster_is_described, groups_are_listed_described_altered_and_deleted,
]


def main():
    failed = False
    for case in CASES:
        outcome, why = "passed", ""
        try:
            case()
        except Exception as e:  # whatever a case ends with is its outcome
            outcome, why, failed = "failed", f"{type(e).__name__}: {e}", True
            traceback.print_exc()
        print(json.dumps({"case": case.__name__, "outcome": outcome, "why": why}), flush=True)
    sys.exit(1 if failed else 0)


main()
