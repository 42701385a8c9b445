// Plays one scenario of ../README.md through kafkajs.

'use strict'

const { PATIENCE_MS, answered, arguments_, ask, check, fail, pause, tell } = require('./contract')
const { BASE_TIME_MS, KEEP, compare, more, read, sample } = require('./records')
const { Administration, wordsOf } = require('./administration')
const { beMember, group } = require('./group')
const { Library } = require('./library')

const PARTITIONS = 3
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

async function codecs(library, administration, options) {
  for (const codec of CODECS) {
    const topic = `${options.prefix}-${codec}`
    await administration.create(topic, PARTITIONS, KEEP)
    const sent = []
    const producer = await library.producer(codec, false)
    for (let index = 0; index < options.records; index++) {
      const record = sample(index, PARTITIONS)
      await producer.send(topic, record, offset => sent.push({ ...record, offset }))
    }
    await producer.close()
    check(`${codec}: acknowledged`, options.records, sent.length)
    const reader = await library.reader(topic)
    const found = await read(reader, options.records)
    check(`${codec}: after the last`, 0, await more(reader))
    await reader.close()
    compare(codec, sent, found)
  }
}

async function seek(library, administration, options) {
  const [topic, count, stepMs] = [`${options.prefix}-times`, options.records, 10]
  await administration.create(topic, 1, KEEP)
  const producer = await library.producer('none', false)
  const offsets = []
  const send = index => {
    const [value, timestampMs] = [Buffer.from(`number-${index}`), BASE_TIME_MS + index * stepMs]
    const record = { partition: 0, key: null, value, headers: [], timestampMs }
    return producer.send(topic, record, offset => offsets.push(offset))
  }
  for (let index = 0; index < count; index++) await send(index)
  await producer.finish()
  check('acknowledged offsets are all there are', true, offsets.length === count && offsets.every((offset, at) => offset === at))
  const reader = await library.reader(topic)
  check('first and end offset', [0, count], await reader.limits(0))
  const nextIs = async (text, index) => {
    const [found] = await read(reader, 1)
    check(text, `${index} number-${index}`, `${found.offset} ${found.value}`)
  }
  for (const index of [Math.floor(count / 3), count - 1, 0, Math.floor(count / 2)]) {
    reader.seek(0, index)
    await nextIs(`after seek to offset ${index}`, index)
  }
  for (const index of [Math.floor(count / 2), count - 1, 0]) {
    const at = BASE_TIME_MS + index * stepMs
    const offset = await reader.offsetForTime(0, at)
    check(`offset for the time of record ${index}`, index, offset)
    if (index) check('offset for a time between records', index, await reader.offsetForTime(0, at - stepMs / 2))
    reader.seek(0, offset)
    await nextIs(`after seek to the time of record ${index}`, index)
  }
  check('offset for a time after the last', null, await reader.offsetForTime(0, BASE_TIME_MS + count * stepMs))
  await reader.beginning(0)
  await nextIs('after seek to the beginning', 0)
  await reader.end(0)
  check('records at the end', 0, await more(reader))
  await send(count)
  await producer.close()
  await nextIs('after seek to the end, the next one sent', count)
  await reader.close()
}

async function idempotent(library, administration, options) {
  const topic = `${options.prefix}-once`
  await administration.create(topic, PARTITIONS, KEEP)
  const kills = new Set()
  for (let kill = 1; kill <= options.kills; kill++) kills.add(Math.floor((options.records * kill) / (options.kills + 1)))
  const value = index => `number-${String(index).padStart(9, '0')}`
  const sent = []
  const producer = await library.producer('none', true)
  let waiting = false
  for (let index = 0; index < options.records; index++) {
    if (kills.has(index)) {
      if (waiting) await answered('kill9')
      ask('kill9')
      waiting = true
    }
    const record = { partition: index % PARTITIONS, key: null, value: Buffer.from(value(index)), headers: [], timestampMs: BASE_TIME_MS + index }
    await producer.send(topic, record, offset => sent.push({ ...record, offset }))
    // Small requests, so that one is under way when the node dies.
    if (index % 60 === 59) await producer.finish()
  }
  if (waiting) await answered('kill9')
  await producer.close()
  check('acknowledged', options.records, sent.length)
  const reader = await library.reader(topic)
  const found = await read(reader, options.records)
  check('after the last', 0, await more(reader))
  await reader.close()
  const next = [0, 1, 2]
  const offsets = new Map()
  for (const record of found) {
    const expected = value(next[record.partition])
    if (expected !== String(record.value)) fail(`partition ${record.partition}, offset ${record.offset}: expected ${expected}, found ${record.value}`)
    next[record.partition] += PARTITIONS
    offsets.set(record.timestampMs, record.offset)
  }
  check('each once and in order', options.records, found.length)
  // A library may not learn the offset of a batch that was stored but answered only as a duplicate.
  const wrong = sent.filter(({ offset, timestampMs }) => offset >= 0 && offsets.get(timestampMs) !== offset)
  check('acknowledged offsets that are others', 0, wrong.length)
}

async function admin(library, play, options) {
  const [topic, groupId] = [`${options.prefix}-topic`, `${options.prefix}-group`]
  const refused = async (text, name, call) => {
    const words = await call().then(() => 'no error', wordsOf)
    if (!words.includes(name)) fail(`${text}: expected ${name}, found ${words}`)
    check(text, name, name)
  }
  await play.create(topic, 2, { 'retention.ms': '7200000', 'cleanup.policy': 'delete' })
  await refused('error of a second create', 'TOPIC_ALREADY_EXISTS', () => play.create(topic, 2, {}))
  check('listed', true, (await play.topics()).includes(topic))
  check('partitions', 2, await play.partitions(topic))
  await refused('error of an unknown topic', 'UNKNOWN_TOPIC_OR_PARTITION', () => play.partitions(`${topic}-unknown`))
  let configs = await play.configs(topic)
  check('retention.ms as created', '7200000', configs['retention.ms'])
  check('delete.retention.ms by default', '86400000', configs['delete.retention.ms'])
  tell({ lacks: 'incremental alter configs' })
  await play.alterConfigs(topic, { 'retention.ms': '3600000', 'max.message.bytes': '2000000' })
  configs = await play.configs(topic)
  check('retention.ms as altered', '3600000', configs['retention.ms'])
  check('max.message.bytes as altered', '2000000', configs['max.message.bytes'])
  await play.alterConfigs(topic, { 'retention.ms': '3600000' })
  configs = await play.configs(topic)
  check('max.message.bytes no longer named', '1048588', configs['max.message.bytes'])
  await play.createPartitions(topic, 5)
  check('partitions after more were created', 5, await play.partitions(topic))
  const producer = await library.producer('none', false)
  for (let index = 0; index < 100; index++) {
    const record = { partition: 0, key: null, value: Buffer.from(`${index}`), headers: [], timestampMs: Date.now() }
    await producer.send(topic, record, () => {})
  }
  await producer.close()
  await play.deleteRecords(topic, 0, 40)
  const reader = await library.reader(topic)
  check('limits after records were deleted', [40, 100], await reader.limits(0))
  await reader.close()
  await play.alterGroupOffsets(groupId, topic, { 0: 41, 1: 0 })
  check('group listed', true, (await play.groups()).includes(groupId))
  check('group without members', 'empty', (await play.groupState(groupId)).toLowerCase())
  check('committed offsets', { 0: 41, 1: 0 }, await play.groupOffsets(groupId, topic))
  await play.alterGroupOffsets(groupId, topic, { 0: 50 })
  check('committed offset after it was set', { 0: 50, 1: 0 }, await play.groupOffsets(groupId, topic))
  tell({ lacks: 'delete group offsets' })
  await play.deleteGroup(groupId)
  check('group listed after deletion', false, (await play.groups()).includes(groupId))
  await refused('error of deleting the group again', 'GROUP_ID_NOT_FOUND', () => play.deleteGroup(groupId))
  await play.delete(topic)
  const deadline = Date.now() + PATIENCE_MS
  while ((await play.topics()).includes(topic) && Date.now() < deadline) await pause(100)
  check('listed after deletion', false, (await play.topics()).includes(topic))
  await refused('error of deleting it again', 'UNKNOWN_TOPIC_OR_PARTITION', () => play.delete(topic))
}

async function main() {
  const options = arguments_()
  const library = new Library(options.bootstrap)
  if (options.scenario === 'member') return beMember(library, options)
  const play = { codecs, seek, group, admin, idempotent }[options.scenario]
  if (!play) fail(`no scenario is called ${options.scenario}`)
  tell({ client: library.name() })
  await play(library, new Administration(library), options)
  tell({ passed: true })
}

main().then(
  () => process.exit(0),
  error => fail(`${wordsOf(error)} ${error.stack}`.replaceAll('\n', ' ')),
)
