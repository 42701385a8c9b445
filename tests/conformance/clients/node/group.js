// A group of three, one of them killed; all close, the node restarts, one comes back and resumes.
//
// A member is this program again, in a process of its own, so that it can be killed without leaving:
//
//   parent ── commit, close ──▶ member     (standard input)
//   parent ◀── told, a line ─── member     (standard output)
//
//   { assigned: [0, 3], records: [[partition, offset, hash]…], done: ['commit'] }
//
// kafkajs has no group.instance.id, so none of the three is static.

'use strict'

const { spawn } = require('node:child_process')
const { createHash } = require('node:crypto')
const { isDeepStrictEqual } = require('node:util')
const readline = require('node:readline')

const { PATIENCE_MS, answered, ask, check, fail, heard, pause, tell } = require('./contract')
const { BASE_TIME_MS, KEEP } = require('./records')

const PARTITIONS = 6
// The least that Kafka allows: how long a killed member keeps its partitions.
const SESSION_MS = 6_000
const MORE = 60

const hashOf = ({ key, value, timestampMs }) =>
  createHash('sha256').update(`${key};${value};${timestampMs}`).digest('hex').slice(0, 16)

// One member: polls until told otherwise.
async function beMember(library, options) {
  const { consumer } = await library.member(options.group, options.topic, Number(options['session-ms']))
  const done = []
  let shown = ''
  let command = null
  const listen = async () => {
    for (;;) command = await heard()
  }
  listen()
  // The parent is gone.
  process.stdin.on('close', () => process.exit(1))
  while (!done.includes('close')) {
    const records = await consumer.poll(Infinity)
    if (command) {
      const what = command
      command = null
      await (what === 'commit' ? consumer.commit() : consumer.close())
      done.push(what)
    }
    const state = JSON.stringify([consumer.assigned, done])
    if (records.length || state !== shown) {
      const rows = records.map(record => [record.partition, record.offset, hashOf(record)])
      tell({ assigned: consumer.assigned, records: rows, done })
      shown = state
    }
  }
  process.exit(0)
}

// The parent's end of a member.
class Member {
  constructor(options, topic, group) {
    const line = [process.argv[1], '--scenario', 'member', '--bootstrap', options.bootstrap, '--topic', topic]
    line.push('--group', group, '--session-ms', String(SESSION_MS))
    this.process = spawn(process.execPath, line, { stdio: ['pipe', 'pipe', 'inherit'] })
    Object.assign(this, { assigned: [], done: [], seen: new Map(), first: {}, killed: false })
    this.ended = new Promise(resolve => {
      this.process.on('close', status => {
        if (!this.killed && status !== 0) fail(`a member ended: ${status}`)
        resolve()
      })
    })
    readline.createInterface({ input: this.process.stdout }).on('line', line => {
      const { assigned, records, done } = JSON.parse(line)
      Object.assign(this, { assigned, done })
      for (const [partition, offset, hash] of records) {
        this.first[partition] ??= offset
        this.seen.set(`${partition}/${offset}`, hash)
      }
    })
  }

  // SIGKILL: the socket closes, no LeaveGroup is sent.
  async kill() {
    this.killed = true
    this.process.kill('SIGKILL')
    await this.ended
  }

  async say(command) {
    this.process.stdin.write(command + '\n')
    await wait(command, [this], () => this.done.includes(command))
  }
}

async function wait(text, members, holds) {
  const deadline = Date.now() + PATIENCE_MS
  while (!holds()) {
    if (Date.now() > deadline) {
      const state = members.map(({ assigned, seen }) => `[${assigned}] and ${seen.size} records`)
      fail(`${text}: not within ${PATIENCE_MS} ms; members have ${state.join(', ')}`)
    }
    await pause(20)
  }
}

// Every partition has exactly one of these members, every member some.
function shared(members) {
  const all = members.flatMap(member => member.assigned).sort()
  return members.every(member => member.assigned.length) && isDeepStrictEqual(all, [0, 1, 2, 3, 4, 5])
}

const consumed = members => new Map(members.flatMap(member => [...member.seen]))

async function group(library, administration, options) {
  tell({ lacks: 'static members' })
  const [topic, name] = [`${options.prefix}-work`, `${options.prefix}-group`]
  await administration.create(topic, PARTITIONS, KEEP)
  const producer = await library.producer('none', false)
  const sent = new Map()
  const send = async count => {
    for (let index = sent.size, last = index + count; index < last; index++) {
      const [key, value] = [Buffer.from(`key-${index}`), Buffer.from(`value-${index}`)]
      const record = { partition: index % PARTITIONS, key, value, headers: [], timestampMs: BASE_TIME_MS + index }
      sent.set(`${record.partition}/${Math.floor(index / PARTITIONS)}`, hashOf(record))
      await producer.send(topic, record, () => {})
    }
    await producer.finish()
  }

  // A multiple of the partitions, so that every partition has as many.
  await send(Math.floor(options.records / PARTITIONS) * PARTITIONS)
  const three = [1, 2, 3].map(() => new Member(options, topic, name))
  await wait('three members share the partitions', three, () => shared(three))
  check('members with two partitions each', [2, 2, 2], three.map(member => member.assigned.length))
  await wait('every record consumed', three, () => consumed(three).size === sent.size)
  check('every record consumed, none changed', true, isDeepStrictEqual(consumed(three), sent))

  const [first, second, third] = three
  await second.kill()
  const two = [first, third]
  await wait("the killed member's partitions go to the others", two, () => shared(two))
  check('partitions of the two that stay', [3, 3], two.map(member => member.assigned.length))
  await send(MORE * PARTITIONS)
  await wait('new records consumed after that', two, () => consumed(three).size === sent.size)
  check('every record consumed after that, none changed', true, isDeepStrictEqual(consumed(three), sent))

  for (const member of two) await member.say('commit')
  for (const member of two) {
    await member.say('close')
    await member.ended
  }
  const committed = sent.size / PARTITIONS
  await send(MORE * PARTITIONS)
  ask('restart')
  await answered('restart')
  const resumed = new Member(options, topic, name)
  const left = new Map([...sent].filter(([place]) => Number(place.split('/')[1]) >= committed))
  await wait('resumed after the restart', [resumed], () => resumed.seen.size >= left.size)
  const expected = Object.fromEntries(Array.from({ length: PARTITIONS }, (_, partition) => [partition, committed]))
  check('first offset after the restart, by partition', expected, resumed.first)
  const sorted = map => [...map].sort()
  check('what was consumed after the restart', true, isDeepStrictEqual(sorted(resumed.seen), sorted(left)))
  await resumed.say('close')
  await resumed.ended
  await producer.close()
}

module.exports = { beMember, group }
