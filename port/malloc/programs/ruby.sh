# Hashes, strings and threads.
cat >test.rb <<'SOURCE'
require 'json'
def work(seed)
  table = Hash.new { |hash, key| hash[key] = [] }
  60000.times { |i| table[(i * 7919 % 10007).to_s] << { 'id' => i, 'text' => 'x' * (i * seed % 50) } }
  text = JSON.generate(table.sort.to_h)
  [text.size, text.sum, JSON.parse(text).size]
end
puts (1..3).map { |seed| Thread.new { work(seed) } }.map(&:value).inspect
SOURCE
$UNDER ruby test.rb
