// kafkajs against the broker named by the one argument.
//
// Prints a line of JSON for each case ({"case", "outcome", "why"}) and ends with 1 when one failed. Every wait has a limit.
'use strict'

const assert = require('node:assert/strict')
const { randomUUID } = require('node:crypto')
const { CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = require('kafkajs')

const bootstrap = process.argv[2]
const limitMs = 30_000 // of any one thing
const kafka = new Kafka({ clientId: 'suite', brokers: [bootstrap], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50, retries: 8 } })
const admin = kafka.admin()

const name = (what) => `${what}-${randomUUID().slice(0, 8)}`
const numbered = (what, count) => Array.from({ length: count }, (_, i) => `${what} ${i}`)
const sorted = (values) => [...values].sort()

/** The promise's value, or an error when it takes too long. */
function within(promise, what, ms = limitMs) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** Asks until the answer is yes. */
async function until(holds, what) {
  const deadline = Date.now() + limitMs
  while (!(await holds())) {
    assert(Date.now() < deadline, `not within ${limitMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function topic(what, numPartitions, configEntries = []) {
  const made = name(what)
  assert.equal(await admin.createTopics({ topics: [{ topic: made, numPartitions, replicationFactor: 1, configEntries }], waitForLeaders: true }), true)
  return made
}

/** Runs use with a connected producer. */
async function producing(options, use) {
  const producer = kafka.producer({ allowAutoTopicCreation: false, ...options })
  await producer.connect()
  try {
    return await use(producer)
  } finally {
    await producer.disconnect()
  }
}

const produce = (to, values, options = {}) => producing(options, (p) => p.send({ topic: to, messages: values.map((value) => ({ value })) }))

/** A member of a group and what it read. autoCommit is off; its offsets are committed with commit(). */
class Member {
  constructor(groupId, options = {}) {
    this.consumer = kafka.consumer({ groupId, sessionTimeout: 10_000, heartbeatInterval: 300, rebalanceTimeout: 10_000, maxWaitTimeInMs: 200, metadataMaxAge: 1000, ...options })
    this.read = []
    this.has = []
    this.consumer.on(this.consumer.events.GROUP_JOIN, (e) => {
      this.has = Object.values(e.payload.memberAssignment).flat()
    })
  }

  async start(where) {
    await this.consumer.connect()
    await this.consumer.subscribe({ topics: [where], fromBeginning: true })
    await this.consumer.run({ autoCommit: false, eachMessage: async (m) => void this.read.push(m) })
    return this
  }

  values() {
    return this.read.map((m) => m.message.value.toString())
  }

  /** Commits what was read, by partition. */
  commit() {
    const next = new Map()
    for (const { topic, partition, message } of this.read) {
      next.set(partition, { topic, partition, offset: (BigInt(message.offset) + 1n).toString() })
    }
    return this.consumer.commitOffsets([...next.values()])
  }

  stop() {
    return within(this.consumer.disconnect(), 'a member leaves')
  }
}

/** Reads so many records of a topic from its beginning, and makes sure that no more follow at once. */
async function readAll(where, count, options = {}) {
  const member = await new Member(name('reader'), options).start(where)
  try {
    await until(() => member.read.length >= count, `${count} records of ${where}, got ${member.read.length}`)
    await new Promise((resolve) => setTimeout(resolve, 300))
    assert.equal(member.read.length, count)
    return member.read
  } finally {
    await member.stop()
  }
}

const valuesOf = (read) => read.map((m) => m.message.value.toString())

/** The committed offsets of a group on a topic, by partition; -1 where there is none. */
async function committed(groupId, where) {
  const [{ partitions }] = await admin.fetchOffsets({ groupId, topics: [where] })
  return Object.fromEntries(partitions.map((p) => [p.partition, Number(p.offset)]))
}

const cases = {
  async everyCodecKeepsKeyValueHeadersAndTimestamp() {
    for (const compression of [CompressionTypes.None, CompressionTypes.GZIP]) {
      for (const idempotent of [false, true]) {
        const where = await topic('codec', 1)
        const base = Date.now() - 3_600_000
        await producing({ idempotent, maxInFlightRequests: 1 }, (p) =>
          p.send({
            topic: where, acks: -1, compression,
            messages: Array.from({ length: 500 }, (_, i) => ({ key: `key ${i}`, value: `value ${i} `.repeat(20), timestamp: String(base + i), headers: { h: ['one', 'two'], empty: '' } })),
          }))
        const read = await readAll(where, 500)
        read.forEach(({ message }, i) => {
          assert.deepEqual([message.offset, message.key.toString(), message.value.toString(), message.timestamp], [String(i), `key ${i}`, `value ${i} `.repeat(20), String(base + i)])
          assert.deepEqual(message.headers.h.map(String), ['one', 'two'])
          assert.equal(message.headers.empty.toString(), '')
        })
      }
    }
  },

  async everyAcks() {
    for (const acks of [0, 1, -1]) {
      const where = await topic('acks', 2)
      await producing({}, (p) => p.send({ topic: where, acks, messages: numbered('v', 200).map((value) => ({ value })) }))
      assert.deepEqual(sorted(valuesOf(await readAll(where, 200))), sorted(numbered('v', 200)))
    }
  },

  async nullsAndEmptiesStayApart() {
    const where = await topic('nulls', 1)
    await producing({}, (p) => p.send({ topic: where, messages: [{ key: null, value: 'v' }, { key: 'k', value: null }, { key: '', value: '' }] }))
    const read = await readAll(where, 3)
    assert.equal(read[0].message.key, null)
    assert.equal(read[1].message.value, null)
    assert.equal(read[2].message.value.length, 0)
  },

  async aTopicIsCreatedByTheFirstRecord() {
    const where = name('created')
    await produce(where, numbered('v', 10), { allowAutoTopicCreation: true })
    assert.equal((await readAll(where, 10)).length, 10)
  },

  async twoMembersShareAndTheOneThatStaysTakesOver() {
    const where = await topic('share', 4)
    const group = name('share')
    const first = new Member(group)
    const second = new Member(group)
    try {
      await Promise.all([first.start(where), second.start(where)])
      await until(() => first.has.length === 2 && second.has.length === 2, 'two partitions each')
      assert.deepEqual(sorted([...first.has, ...second.has]), [0, 1, 2, 3])
      await produce(where, numbered('a', 400))
      await until(() => first.read.length + second.read.length >= 400, 'all records')
      assert.deepEqual(sorted([...first.values(), ...second.values()]), sorted(numbered('a', 400)))
      await first.commit()
      await second.commit()
    } finally {
      await first.stop()
    }
    try {
      await until(() => second.has.length === 4, 'the one that stays has all')
      const before = second.read.length
      await produce(where, numbered('b', 40))
      await until(() => second.read.length >= before + 40, 'the rest')
      assert.deepEqual(sorted(second.values().slice(before)), sorted(numbered('b', 40)))
    } finally {
      await second.stop()
    }
    assert.equal(Object.values(await committed(group, where)).reduce((a, b) => a + b), 400)
  },

  async aGroupGoesOnAtItsOffsetsAndCanBeReset() {
    const where = await topic('resume', 1)
    const group = name('resume')
    await produce(where, numbered('v', 10))
    await admin.setOffsets({ groupId: group, topic: where, partitions: [{ partition: 0, offset: '6' }] })
    assert.deepEqual(await committed(group, where), { 0: 6 })
    const member = await new Member(group).start(where)
    try {
      await until(() => member.read.length >= 4, 'what follows the offset')
      assert.deepEqual(member.values(), numbered('v', 10).slice(6))
    } finally {
      await member.stop()
    }
    await admin.resetOffsets({ groupId: group, topic: where, earliest: true })
    const again = await new Member(group).start(where)
    try {
      await until(() => again.read.length >= 10, 'everything again')
    } finally {
      await again.stop()
    }
  },

  async onlyCommittedTransactionsAreRead() {
    const where = await topic('txn', 1)
    await producing({ transactionalId: name('txn'), idempotent: true, maxInFlightRequests: 1 }, async (p) => {
      for (const [what, commit] of [['a', true], ['b', false], ['c', true]]) {
        const transaction = await p.transaction()
        await transaction.send({ topic: where, messages: numbered(what, 10).map((value) => ({ value })) })
        await (commit ? transaction.commit() : transaction.abort())
      }
    })
    assert.deepEqual(valuesOf(await readAll(where, 20)), [...numbered('a', 10), ...numbered('c', 10)])
    assert.equal((await readAll(where, 30, { readUncommitted: true })).length, 30)
  },

  async offsetsGoWithTheTransaction() {
    const where = await topic('in', 1)
    const to = await topic('out', 1)
    const group = name('copier')
    await produce(where, numbered('v', 10))
    await producing({ transactionalId: name('copier'), idempotent: true, maxInFlightRequests: 1 }, async (p) => {
      for (const [upTo, commit] of [[4, false], [7, true]]) {
        const transaction = await p.transaction()
        await transaction.send({ topic: to, messages: numbered('v', upTo).map((value) => ({ value })) })
        await transaction.sendOffsets({ consumerGroupId: group, topics: [{ topic: where, partitions: [{ partition: 0, offset: String(upTo) }] }] })
        await (commit ? transaction.commit() : transaction.abort())
        await until(async () => (await committed(group, where))[0] === (commit ? upTo : -1), 'the offset')
      }
    })
    assert.deepEqual(valuesOf(await readAll(to, 7)), numbered('v', 7))
  },

  async aSuccessorFences() {
    const where = await topic('fence', 1)
    const options = { transactionalId: name('fence'), idempotent: true, maxInFlightRequests: 1, retry: { initialRetryTime: 50, retries: 5 } }
    await producing(options, async (old) => {
      const lost = await old.transaction()
      await lost.send({ topic: where, messages: [{ value: 'lost' }] })
      await producing(options, async (successor) => {
        const kept = await successor.transaction()
        await assert.rejects(async () => {
          await lost.send({ topic: where, messages: [{ value: 'late' }] })
          await lost.commit()
        })
        await kept.send({ topic: where, messages: [{ value: 'kept' }] })
        await kept.commit()
      })
    })
    assert.deepEqual(valuesOf(await readAll(where, 1)), ['kept'])
  },

  async topicsLiveAndEnd() {
    const where = await topic('life', 3)
    assert.equal(await admin.createTopics({ topics: [{ topic: where, numPartitions: 1, replicationFactor: 1 }] }), false, 'it is there already')
    await assert.rejects(admin.createTopics({ topics: [{ topic: 'no/slashes', numPartitions: 1, replicationFactor: 1 }] }))
    assert((await admin.listTopics()).includes(where))
    await admin.createPartitions({ topicPartitions: [{ topic: where, count: 5 }] })
    await until(async () => (await admin.fetchTopicMetadata({ topics: [where] })).topics[0].partitions.length === 5, 'five partitions')
    await admin.deleteTopics({ topics: [where] })
    await until(async () => !(await admin.listTopics()).includes(where), 'the topic is gone')
  },

  async configsAreDescribedAndAltered() {
    const where = await topic('config', 1, [{ name: 'retention.ms', value: '3600000' }])
    const resource = { type: ConfigResourceTypes.TOPIC, name: where }
    const retention = async () => (await admin.describeConfigs({ includeSynonyms: false, resources: [{ ...resource, configNames: ['retention.ms'] }] })).resources[0].configEntries[0].configValue
    assert.equal(await retention(), '3600000')
    await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries: [{ name: 'retention.ms', value: '7200000' }] }] })
    await until(async () => (await retention()) === '7200000', 'the change')
  },

  async offsetsAreListedAndRecordsDeleted() {
    const where = await topic('offsets', 1)
    const base = Date.now() - 3_600_000
    await producing({}, (p) => p.send({ topic: where, messages: numbered('v', 10).map((value, i) => ({ value, timestamp: String(base + i * 1000) })) }))
    const [offsets] = await admin.fetchTopicOffsets(where)
    assert.deepEqual([offsets.low, offsets.high], ['0', '10'])
    const [found] = await admin.fetchTopicOffsetsByTimestamp(where, base + 3001)
    assert.equal(found.offset, '4')
    await admin.deleteTopicRecords({ topic: where, partitions: [{ partition: 0, offset: '4' }] })
    assert.equal((await admin.fetchTopicOffsets(where))[0].low, '4')
  },

  async groupsAreListedDescribedAndDeleted() {
    const where = await topic('groups', 1)
    const group = name('groups')
    const member = await new Member(group).start(where)
    try {
      await until(() => member.has.length === 1, 'it has the partition')
      const { groups: [described] } = await admin.describeGroups([group])
      assert.deepEqual([described.state, described.protocolType, described.members.length], ['Stable', 'consumer', 1])
      assert((await admin.listGroups()).groups.some((g) => g.groupId === group))
      await assert.rejects(admin.deleteGroups([group]))
    } finally {
      await member.stop()
    }
    await admin.deleteGroups([group])
    assert(!(await admin.listGroups()).groups.some((g) => g.groupId === group))
  },

  async theClusterIsDescribed() {
    const cluster = await admin.describeCluster()
    assert(cluster.clusterId)
    assert(cluster.brokers.some((b) => b.nodeId === cluster.controller))
  },
}

async function main() {
  await within(admin.connect(), 'a connection')
  let failed = false
  for (const [which, run] of Object.entries(cases)) {
    let outcome = 'passed'
    let why = ''
    try {
      await within(run(), which, 2 * limitMs)
    } catch (e) {
      outcome = 'failed'
      why = `${e.name}: ${e.message}`
      failed = true
      console.error(e)
    }
    console.log(JSON.stringify({ case: which, outcome, why }))
  }
  await within(admin.disconnect(), 'the end').catch(() => undefined)
  process.exit(failed ? 1 : 0)
}

main().catch((e) => {
  console.error(e)
  process.exit(1)
})
