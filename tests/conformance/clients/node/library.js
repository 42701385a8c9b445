// kafkajs, in the few words that the scenarios need.
//
// It knows no assignment without a group, so a reader is the only member of a group of its own, and
// no static members. Of the codecs it brings gzip; snappy is kafkajs-snappy, lz4 and zstd are
// packages put into its table of codecs, as its manual says.

'use strict'

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = require('kafkajs')
const snappy = require('kafkajs-snappy')
const lz4 = require('lz4-napi')
const zstd = require('@bokuweb/zstd-wasm')

const { fail, PATIENCE_MS, pause } = require('./contract')
const { version } = require('kafkajs/package.json')

const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}
CompressionCodecs[CODECS.snappy] = snappy
CompressionCodecs[CODECS.lz4] = () => ({
  compress: async encoder => lz4.compressFrame(encoder.buffer),
  decompress: async buffer => lz4.decompressFrame(buffer),
})
const zstdReady = zstd.init()
CompressionCodecs[CODECS.zstd] = () => ({
  compress: async encoder => zstdReady.then(() => Buffer.from(zstd.compress(encoder.buffer, 3))),
  decompress: async buffer => zstdReady.then(() => Buffer.from(zstd.decompress(buffer))),
})

// One request's records of one partition are one batch: the large one and its neighbours must stay
// below max.message.bytes.
const CHUNK = 500

class Library {
  constructor(bootstrap) {
    // A node that makes its first group on a busy machine may take longer than the five tries of the default.
    const retry = { retries: 10 }
    this.kafka = new Kafka({ clientId: 'conformance', brokers: [bootstrap], logLevel: logLevel.ERROR, retry })
  }

  name() {
    return `kafkajs ${version}`
  }

  async producer(codec, idempotent) {
    const options = idempotent ? { idempotent, maxInFlightRequests: 1 } : {}
    const producer = this.kafka.producer({ ...options, allowAutoTopicCreation: false })
    await producer.connect()
    return new Sender(producer, CODECS[codec])
  }

  async reader(topic) {
    const { consumer } = await this.member(`reads-${topic}`, topic, 30_000, true)
    return consumer
  }

  async member(groupId, topic, sessionTimeout, alone = false) {
    const consumer = this.kafka.consumer({
      groupId, sessionTimeout, heartbeatInterval: 1_000, maxWaitTimeInMs: 200, allowAutoTopicCreation: false,
    })
    const reader = new Reader(this, consumer, topic, alone)
    await reader.start()
    return { consumer: reader }
  }

  async administer(call) {
    // Fewer tries than consumers: kafkajs tries again on a topic that is unknown, too.
    const admin = this.kafka.admin({ retry: { retries: 3 } })
    await admin.connect()
    try {
      return await call(admin)
    } finally {
      await admin.disconnect()
    }
  }
}

class Sender {
  constructor(producer, compression) {
    Object.assign(this, { producer, compression, waiting: [], topic: null })
  }

  // Sends a chunk when there is one; `acknowledged` is called with the offset.
  async send(topic, record, acknowledged) {
    this.topic = topic
    this.waiting.push({ record, acknowledged })
    if (this.waiting.length >= CHUNK) await this.finish()
  }

  async finish() {
    const chunk = this.waiting.splice(0)
    if (!chunk.length) return
    const messages = chunk.map(({ record }) => ({
      partition: record.partition,
      key: record.key,
      value: record.value,
      timestamp: String(record.timestampMs),
      headers: headersOut(record.headers),
    }))
    const answer = await this.producer.send({ topic: this.topic, acks: -1, compression: this.compression, messages })
    const next = new Map(answer.map(({ partition, baseOffset }) => [partition, Number(baseOffset)]))
    for (const { record, acknowledged } of chunk) {
      const offset = next.get(record.partition)
      if (offset === undefined) fail(`no answer for partition ${record.partition}`)
      next.set(record.partition, offset < 0 ? offset : offset + 1)
      acknowledged(offset)
    }
  }

  async close() {
    await this.finish()
    await this.producer.disconnect()
  }
}

// kafkajs holds headers of one name as one entry.
function headersOut(headers) {
  const all = {}
  for (const [name, value] of headers) {
    if (!(name in all)) all[name] = value
    else all[name] = Array.isArray(all[name]) ? [...all[name], value] : [all[name], value]
  }
  return all
}

const headersIn = headers =>
  Object.entries(headers ?? {}).flatMap(([name, values]) => [values].flat().map(value => [name, value]))

// A consumer: the only one of its group, which seeks, or a member among others, which commits.
class Reader {
  constructor(library, consumer, topic, alone) {
    Object.assign(this, { library, consumer, topic, alone, queue: [], assigned: [], rebalances: 0, next: new Map() })
  }

  async start() {
    const { GROUP_JOIN, REBALANCING, CRASH } = this.consumer.events
    const joined = new Promise(resolve => {
      this.consumer.on(GROUP_JOIN, ({ payload }) => {
        this.assigned = payload.memberAssignment[this.topic] ?? []
        this.rebalances += 1
        resolve()
      })
    })
    this.consumer.on(REBALANCING, () => (this.assigned = []))
    this.consumer.on(CRASH, ({ payload }) => {
      if (!payload.restart) fail(`consumer: ${payload.error.stack}`.replaceAll('\n', ' '))
    })
    await this.consumer.connect()
    await this.consumer.subscribe({ topics: [this.topic], fromBeginning: true })
    await this.consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch, isStale, isRunning }) => {
        if (!isRunning() || isStale()) return
        this.queue.push(...batch.messages.map(message => recordOf(batch.partition, message)))
      },
    })
    if (this.alone) await joined
  }

  // Waits half a second at most; a member less, for it has commands to hear.
  async poll(limit) {
    const deadline = Date.now() + (this.alone ? 500 : 100)
    while (!this.queue.length && Date.now() < deadline) await pause(10)
    const records = this.queue.splice(0, limit)
    for (const { partition, offset } of records) this.next.set(partition, offset + 1)
    return records
  }

  seek(partition, offset) {
    this.consumer.seek({ topic: this.topic, partition, offset: String(offset) })
    this.queue = this.queue.filter(record => record.partition !== partition)
  }

  // Not -2 and -1: those mean where a group begins that has nothing committed.
  async beginning(partition) {
    this.seek(partition, (await this.limits(partition))[0])
  }

  async end(partition) {
    this.seek(partition, (await this.limits(partition))[1])
  }

  async limits(partition) {
    const all = await this.library.administer(admin => admin.fetchTopicOffsets(this.topic))
    const { low, high } = all.find(one => one.partition === partition)
    return [Number(low), Number(high)]
  }

  // The first offset of that time or later, or null; kafkajs puts the end where there is none.
  async offsetForTime(partition, timestampMs) {
    const [, end] = await this.limits(partition)
    const all = await this.library.administer(admin => admin.fetchTopicOffsetsByTimestamp(this.topic, timestampMs))
    const offset = Number(all.find(one => one.partition === partition).offset)
    return offset === end ? null : offset
  }

  async commit() {
    const places = [...this.next].filter(([partition]) => this.assigned.includes(partition))
    await this.consumer.commitOffsets(
      places.map(([partition, offset]) => ({ topic: this.topic, partition, offset: String(offset) })),
    )
  }

  async close() {
    const late = setTimeout(() => fail('the consumer did not close'), PATIENCE_MS)
    await this.consumer.disconnect()
    clearTimeout(late)
  }
}

const recordOf = (partition, message) => ({
  partition,
  offset: Number(message.offset),
  key: message.key,
  value: message.value,
  headers: headersIn(message.headers),
  timestampMs: Number(message.timestamp),
})

module.exports = { Library }
