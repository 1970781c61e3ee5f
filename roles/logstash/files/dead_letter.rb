# Makes the line of the dead-letter file from an event that could not be stored.

def register(_params)
end

def filter(event)
  refused = event.get('[@metadata][dead_letter_queue]')
  reason = refused ? "Elasticsearch: #{refused['reason']}" : event.get('[@metadata][reason]')
  received = refused ? refused['entry_time'] : LogStash::Timestamp.now
  from = ['[@metadata][input][tcp][source][ip]', '[@metadata][input][beats][host][ip]', '[@metadata][input][http][source][ip]']
         .map { |place| event.get(place) }.compact.first
  letter = { 'received' => received.to_s, 'from' => from || 'unknown', 'reason' => reason, 'raw' => raw(event) }
  event.set('[@metadata][letter]', LogStash::Json.dump(letter))
  [event]
end

# The line where it could not be read, else the event as it came: without what Logstash has put into it.
def raw(event)
  tags = Array(event.get('tags'))
  return event.get('message').to_s if tags.include?('_jsonparsefailure')

  content = LogStash::Json.load(event.to_json)
  ours = tags - ['_timestampparsefailure']
  content['tags'] = ours
  content.delete('tags') if ours.empty?
  content['@timestamp'] = content.delete('_@timestamp') if content.key?('_@timestamp')
  ['@version', 'data_stream'].each { |name| content.delete(name) }
  LogStash::Json.dump(content)
end
