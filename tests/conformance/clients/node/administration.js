// kafkajs's administrative calls, each with a connection of its own.

'use strict'

const { ConfigResourceTypes } = require('kafkajs')
const { pause } = require('./contract')

class Administration {
  constructor(library) {
    this.call = call => library.administer(call)
  }

  async create(topic, numPartitions, configs) {
    const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
    const topics = [{ topic, numPartitions, replicationFactor: 1, configEntries }]
    // false is how kafkajs tells of a topic that exists.
    if (!(await this.call(admin => admin.createTopics({ topics })))) throw new Error('TOPIC_ALREADY_EXISTS')
  }

  delete(topic) {
    return this.call(admin => admin.deleteTopics({ topics: [topic] }))
  }

  topics() {
    return this.call(admin => admin.listTopics())
  }

  async partitions(topic) {
    const { topics } = await this.call(admin => admin.fetchTopicMetadata({ topics: [topic] }))
    return topics[0].partitions.length
  }

  async configs(topic) {
    const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic }]
    const answer = await this.call(admin => admin.describeConfigs({ resources, includeSynonyms: false }))
    const entries = answer.resources[0].configEntries
    return Object.fromEntries(entries.map(({ configName, configValue }) => [configName, configValue]))
  }

  // Not incremental: what is not named goes back to its default.
  alterConfigs(topic, configs) {
    const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
    const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }]
    return this.call(admin => admin.alterConfigs({ validateOnly: false, resources }))
  }

  // Returns when the new ones have leaders that know it: Kafka's metadata tells of them sooner, and
  // kafkajs's administrative calls do not try again.
  async createPartitions(topic, count) {
    await this.call(admin => admin.createPartitions({ topicPartitions: [{ topic, count }] }))
    for (let tries = 1; ; tries++) {
      try {
        return await this.call(admin => admin.fetchTopicOffsets(topic))
      } catch (error) {
        if (tries === 100 || !wordsOf(error).includes('NOT_LEADER')) throw error
        await pause(100)
      }
    }
  }

  deleteRecords(topic, partition, before) {
    const partitions = [{ partition, offset: String(before) }]
    return this.call(async admin => {
      // deleteTopicRecords asks for no metadata by itself and fails where there is none yet.
      await admin.fetchTopicOffsets(topic)
      await admin.deleteTopicRecords({ topic, partitions })
    })
  }

  async groups() {
    const { groups } = await this.call(admin => admin.listGroups())
    return groups.map(group => group.groupId)
  }

  async groupState(group) {
    const { groups } = await this.call(admin => admin.describeGroups([group]))
    return groups[0].state
  }

  async groupOffsets(groupId, topic) {
    const [{ partitions }] = await this.call(admin => admin.fetchOffsets({ groupId, topics: [topic] }))
    const found = partitions.map(({ partition, offset }) => [partition, Number(offset)])
    return Object.fromEntries(found.filter(([, offset]) => offset >= 0))
  }

  alterGroupOffsets(groupId, topic, offsets) {
    const partitions = Object.entries(offsets).map(([partition, offset]) => {
      return { partition: Number(partition), offset: String(offset) }
    })
    return this.call(admin => admin.setOffsets({ groupId, topic, partitions }))
  }

  deleteGroup(group) {
    return this.call(admin => admin.deleteGroups([group]))
  }
}

// All that an error of kafkajs says, Kafka's names of codes among it.
function wordsOf(error) {
  const parts = [error.message, error.type, error.cause?.type, error.originalError?.type]
  for (const inner of error.errors ?? []) parts.push(inner.type)
  for (const group of error.groups ?? []) parts.push(group.error?.type)
  for (const inner of error.partitions ?? []) parts.push(inner.error?.type)
  return parts.filter(Boolean).join(' ')
}

module.exports = { Administration, wordsOf }
