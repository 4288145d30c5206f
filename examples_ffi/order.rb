# An order in Ruby, by Fiddle and nothing else: a poller's host, whose workflows are fibers.
#
#     ruby order.rb work STORE          works until an order is completed
#     ruby order.rb start STORE         starts one, and prints its id
#     ruby order.rb approve STORE ID    sends it the signal that it waits for
#     ruby order.rb result STORE ID     waits for its result, and prints it
#
# Fiddle's closures crash when another thread than Ruby's own calls them, so nothing is called back here.

require "fiddle/import"
require "json"

# The library, declared by include/stent.cdef.
module Stent
  extend Fiddle::Importer
  ROOT = File.expand_path("..", __dir__)
  CDEF = File.read("#{ROOT}/include/stent.cdef")

  dlload File.join(ENV.fetch("STENT_LIB_DIR", "#{ROOT}/target/release"), "libstent.so.0")
  typealias "stent_status", "int32_t"
  CDEF.scan(/\(\*(stent_\w+)\)/) { |(callback)| typealias callback, "void *" }
  CDEF.each_line.grep(/\A(?!typedef).*\(/) { |function| extern function.chomp(";\n") }
  CDEF.scan(/STENT_(\w+) = (-?\d+)/) { |name, value| const_set(name, Integer(value)) }

  class Failure < StandardError
    attr_reader :type

    def initialize(message, type)
      super(message)
      @type = type
    end
  end

  # Calls a function whose last parameter is the error, and raises what it says.
  def self.call(function, *arguments)
    error = out
    status = send(function, *arguments, error)
    raise failure(value(error)) if status.negative?

    status
  end

  # The failure that an error tells of; the error is freed.
  def self.failure(error)
    type = stent_error_failure_type(error)
    message = stent_error_failure_message(error)
    failed = type.null? ? Failure.new(stent_error_message(error).to_s, nil) : Failure.new(message.to_s, type.to_s)
    stent_error_free(error)
    failed
  end

  # Room for what a function gives by a pointer: a handle, a text or a number.
  def self.out
    Fiddle::Pointer.malloc(Fiddle::SIZEOF_VOIDP, Fiddle::RUBY_FREE).tap { |room| room[0, Fiddle::SIZEOF_VOIDP] = "\0" * 8 }
  end

  def self.value(out)
    out.ptr
  end

  def self.text(out)
    out.ptr.to_s.tap { stent_free(out.ptr) }
  end

  def self.executor(store)
    backend = out
    executor = out
    call(:stent_backend_open, store, nil, backend)
    call(:stent_executor_new, value(backend), nil, executor)
    stent_backend_free(value(backend)) # the executor keeps it open
    value(executor)
  end
end

# A run of a function: a fiber, and what has arrived for it. What it does in its turns is in the same order in every run.
class Flow
  BITS = 20 # of a tag: the number of an operation, beside that of the task

  attr_reader :task

  def initialize(poller, task, tag, body)
    @poller, @task, @tag = poller, task, tag
    @arrived = {}
    @fiber = Fiber.new { body.call(self, *JSON.parse(Stent.stent_task_args(task).to_s)) }
  end

  # A turn: until it waits for something that is not there, or its end. What is refused of these three is told by an event.
  def turn
    result = @fiber.resume
    if @fiber.alive?
      Stent.stent_task_suspend(@task, nil)
    else
      Stent.stent_task_complete(@task, JSON.generate(result), nil)
    end
  rescue StandardError => e
    retryable = !e.is_a?(Stent::Failure)
    failure = { type: (e.type if e.respond_to?(:type)) || e.class.name, message: e.message, retryable: }
    Stent.stent_task_fail(@task, JSON.generate(failure), nil)
  end

  # An operation has ended, well or not.
  def arrive(op, outcome)
    @arrived[op] = outcome
    turn
  end

  def spawn(function, *args)
    ask { |op| Stent.call(:stent_task_spawn_call, @task, function, JSON.generate(args), nil, op) }
  end

  def call(function, *args) = wait(spawn(function, *args))
  def sleep(duration) = wait(ask { |op| Stent.call(:stent_task_spawn_sleep, @task, duration, op) })
  def signal(name) = wait(ask { |op| Stent.call(:stent_task_spawn_wait_signal, @task, name, nil, op) })

  def wait(op)
    Fiber.yield until @arrived.key?(op)
    outcome = @arrived.delete(op)
    raise outcome if outcome.is_a?(Stent::Failure)

    outcome
  end

  private

  # Starts an operation, and asks to be told of its end.
  def ask
    out = Stent.out
    yield out
    op = out[0, 4].unpack1("L")
    Stent.call(:stent_task_notify, @task, op, @poller, @tag << BITS | op)
    op
  end
end

FUNCTIONS = {
  "charge" => lambda do |_flow, amount|
    puts "charged"
    "receipt for #{amount}"
  end,
  "ship" => ->(_flow) { raise Stent::Failure.new("none left", "OutOfStock") },
  "square" => ->(_flow, number) { number * number },
  "order" => lambda do |flow, amount|
    receipt = flow.call("charge", amount)
    flow.sleep("50ms")
    begin
      shipped = flow.call("ship")
    rescue Stent::Failure => e
      shipped = e.type
    end
    squares = (1..10).map { |number| flow.spawn("square", number) }
    sum = squares.sum { |op| flow.wait(op) }
    puts "waits for approval"
    { receipt:, shipped:, sum:, approved_by: flow.signal("approved") }
  end
}.freeze

# Takes events until an order is completed, and the worker has stopped after it.
def work(executor)
  poller = Stent.out.tap { |out| Stent.call(:stent_poller_new, out) }.ptr
  FUNCTIONS.each_key { |name| Stent.call(:stent_executor_register, executor, name, nil, nil, nil, nil) }
  worker = Stent.out.tap { |out| Stent.call(:stent_worker_start, executor, '{"lease_duration": "2s"}', poller, out) }.ptr
  descriptor = IO.for_fd(Stent.stent_poller_fd(poller), autoclose: false)
  flows = {}
  out = Stent.out
  stopped = false
  until stopped
    if Stent.call(:stent_poller_next, poller, 0, out) == Stent::PENDING
      IO.select([descriptor])
      next
    end
    event = out.ptr
    tag = Stent.stent_event_tag(event)
    case Stent.stent_event_type(event).to_s
    when "task"
      task = Stent.stent_event_task(event)
      flows[tag] = Flow.new(poller, task, tag, FUNCTIONS.fetch(Stent.stent_task_function(task).to_s))
      flows[tag].turn
    when "op"
      error = Stent.stent_event_error(event)
      outcome = error.null? ? JSON.parse(Stent.stent_event_json(event).to_s) : Stent.failure(error)
      flows[tag >> Flow::BITS]&.arrive(tag & ((1 << Flow::BITS) - 1), outcome)
    when "ended", "evict", "cancel"
      if (flow = flows.delete(tag))
        outcome = Stent.stent_event_outcome(event)
        is_done = !outcome.null? && outcome.to_s == "completed" && Stent.stent_task_function(flow.task).to_s == "order"
        Stent.stent_task_free(flow.task)
        Stent.call(:stent_worker_drain, worker) if is_done
      end
    when "worker"
      stopped = JSON.parse(Stent.stent_event_json(event).to_s)["state"] == "stopped"
    end
    Stent.stent_event_free(event)
  end
  Stent.stent_worker_free(worker)
  Stent.stent_poller_free(poller)
end

$stdout.sync = true
role, store, id = ARGV
executor = Stent.executor(store)
case role
when "work" then work(executor)
when "start"
  out = Stent.out
  Stent.call(:stent_executor_dispatch, executor, "order", "[42]", nil, out)
  puts Stent.text(out)
when "approve" then Stent.call(:stent_executor_signal, executor, id, "approved", '"Ada"', nil)
when "result"
  out = Stent.out
  Stent.call(:stent_executor_result, executor, id, 60_000, out)
  puts Stent.text(out)
else abort "order.rb work|start STORE, order.rb approve|result STORE ID"
end
Stent.stent_executor_free(executor)
Stent.call(:stent_shutdown, 10_000)
