# As much of Logstash's Ruby API as dead_letter.rb uses, for plain Ruby. Reads an event (JSON: fields, @metadata) and prints the letter that the filter made.
require 'json'
require 'time'

module LogStash
  module Json
    def self.dump(object) = JSON.generate(object)
    def self.load(text) = JSON.parse(text)
  end

  module Timestamp
    def self.now = Time.now.utc.iso8601(3)
  end
end

class Event
  def initialize(fields)
    @metadata = fields.delete('@metadata') || {}
    @fields = fields
  end

  # A reference is [outer][inner], or the name of a field.
  def get(reference)
    names = reference.start_with?('[') ? reference.scan(/\[([^\[\]]+)\]/).flatten : [reference]
    names.shift if (metadata = names.first == '@metadata')
    (metadata ? @metadata : @fields).dig(*names)
  end

  def set(reference, value)
    raise "not expected: #{reference}" unless reference == '[@metadata][letter]'

    @metadata['letter'] = value
  end

  def to_json(*) = JSON.generate(@fields)
end

require_relative '../files/dead_letter'
register({})
(event,) = filter(Event.new(JSON.parse($stdin.read)))
puts event.get('[@metadata][letter]')
