// Records as they are sent and as they come back:
//
//   { partition, offset, key, value, headers: [[name, Buffer]…], timestampMs }
//
// null keys and values are null, empty ones are empty buffers.

'use strict'

const { createHash } = require('node:crypto')
const { check, fail, PATIENCE_MS } = require('./contract')

const LARGE_BYTES = 900_000
// November 2023: old enough that a broker which takes its own clock for the record's is found.
const BASE_TIME_MS = 1_700_000_000_000
// Those old records must outlive the broker's retention.
const KEEP = { 'retention.ms': '-1' }

// The record of that number: nulls, empties and one large among them.
function sample(index, partitions) {
  const key = index % 7 === 0 ? null : Buffer.from(`key-${index % 101}`)
  let value
  if (index % 11 === 0) value = null
  else if (index % 13 === 0) value = Buffer.alloc(0)
  else if (index === 17) value = Buffer.alloc(LARGE_BYTES, Buffer.from(Array.from({ length: 1000 }, (_, at) => (index * 31 + at * 7) % 251)))
  else value = Buffer.from(`value-${index}-${'x'.repeat(index % 200)}`)
  const headers = index % 5 === 0 ? [['number', `${index}`], ['same', '1'], ['same', '2']] : []
  return {
    partition: index % partitions,
    key,
    value,
    headers: headers.map(([name, content]) => [name, Buffer.from(content)]),
    timestampMs: BASE_TIME_MS + index,
  }
}

// sha256 over records in order of partition and offset; it tells null from empty.
function digest(records) {
  const hash = createHash('sha256')
  const content = bytes => {
    hash.update(bytes === null ? 'null;' : `${bytes.length};`)
    if (bytes !== null) hash.update(bytes)
  }
  for (const record of [...records].sort((a, b) => a.partition - b.partition || a.offset - b.offset)) {
    hash.update(`${record.partition};${record.offset};${record.timestampMs};${record.headers.length};`)
    content(record.key)
    content(record.value)
    for (const [name, value] of record.headers) {
      content(Buffer.from(name))
      content(value)
    }
  }
  return hash.digest('hex')
}

// Everything sent came back, once, in offset order, byte by byte.
function compare(text, sent, found) {
  check(`${text}: count`, sent.length, found.length)
  const next = {}
  for (const { partition, offset } of found) {
    const expected = next[partition] ?? 0
    if (offset !== expected) fail(`${text}: partition ${partition}: offset ${offset} where ${expected} follows`)
    next[partition] = expected + 1
  }
  check(`${text}: sha256`, digest(sent), digest(found))
}

// The next `count` records.
async function read(reader, count) {
  const records = []
  let deadline = Date.now() + PATIENCE_MS
  while (records.length < count) {
    if (Date.now() > deadline) fail(`${records.length} of ${count} records came within ${PATIENCE_MS} ms`)
    const batch = await reader.poll(count - records.length)
    if (batch.length) deadline = Date.now() + PATIENCE_MS
    records.push(...batch)
  }
  return records
}

// What a few polls bring: nothing, or the count before was wrong.
async function more(reader) {
  let count = 0
  for (let poll = 0; poll < 3; poll++) count += (await reader.poll(Infinity)).length
  return count
}

module.exports = { BASE_TIME_MS, KEEP, compare, more, read, sample }
