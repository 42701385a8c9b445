// The runner's protocol (../README.md): arguments, lines of JSON out, `done` in.

'use strict'

const { isDeepStrictEqual, inspect, parseArgs } = require('node:util')
const readline = require('node:readline')

const PATIENCE_MS = 60_000

const pause = ms => new Promise(resolve => setTimeout(resolve, ms))

function arguments_() {
  const names = ['bootstrap', 'scenario', 'prefix', 'records', 'kills', 'topic', 'group', 'session-ms']
  const { values } = parseArgs({ options: Object.fromEntries(names.map(name => [name, { type: 'string' }])) })
  return { ...values, records: Number(values.records ?? 0), kills: Number(values.kills ?? 1) }
}

const tell = line => process.stdout.write(JSON.stringify(line) + '\n')

// What does not hold ends the process at once: nothing after it could be believed.
function fail(text) {
  process.stderr.write(text + '\n')
  process.exit(1)
}

let lines
const answers = []
const waiting = []

// The next line of standard input.
function heard() {
  if (!lines) {
    lines = readline.createInterface({ input: process.stdin })
    lines.on('line', line => (waiting.length ? waiting.shift()(line) : answers.push(line)))
  }
  return answers.length ? Promise.resolve(answers.shift()) : new Promise(resolve => waiting.push(resolve))
}

const ask = what => tell({ need: what })

async function answered(what) {
  const answer = await heard()
  if (answer.trim() !== 'done') fail(`the runner answered ${answer} to need ${what}`)
}

function check(text, expected, found) {
  if (!isDeepStrictEqual(expected, found)) fail(`${text}: expected ${inspect(expected)}, found ${inspect(found)}`)
  tell({ check: text, expected: inspect(expected), found: inspect(found) })
}

module.exports = { PATIENCE_MS, answered, arguments_, ask, check, fail, heard, pause, tell }
