-- An order in LuaJIT, by its own FFI and nothing else: a poller's host, whose workflows are coroutines.
--
--     luajit order.lua work STORE          works until an order is completed
--     luajit order.lua start STORE         starts one, and prints its id
--     luajit order.lua approve STORE ID    sends it the signal that it waits for
--     luajit order.lua result STORE ID     waits for its result, and prints it
--
-- A callback on another thread than Lua's own crashes LuaJIT, so nothing is called back here. Values stay the JSON that
-- they are, for Lua has no reader of it.

local ffi = require("ffi")
local root = (arg[0]:match("^(.*)/[^/]*$") or ".") .. "/.."

local file = assert(io.open(root .. "/include/stent.cdef"))
ffi.cdef(file:read("*a"))
file:close()
local stent = ffi.load((os.getenv("STENT_LIB_DIR") or root .. "/target/release") .. "/libstent.so.0")

-- An error, as its failure's type and message; it is freed.
local function failure(err)
    local type, message = stent.stent_error_failure_type(err), stent.stent_error_failure_message(err)
    local said = {
        type = type ~= nil and ffi.string(type) or "Error",
        message = ffi.string(message ~= nil and message or stent.stent_error_message(err)),
    }
    stent.stent_error_free(err)
    return said
end

-- Calls a function whose last parameter is the error.
local function call(name, ...)
    local err = ffi.new("stent_error *[1]")
    local arguments = { ... }
    local count = select("#", ...) + 1
    arguments[count] = err
    local status = stent[name](unpack(arguments, 1, count))
    if status < 0 then error(failure(err[0]), 0) end
    return status
end

-- A text that is the caller's, and its length: JSON may have many MiB.
local function taken(out, length)
    local text = ffi.string(out[0], length and length[0])
    stent.stent_free(out[0])
    return text
end

local function open(store)
    local backend, executor = ffi.new("stent_backend *[1]"), ffi.new("stent_executor *[1]")
    call("stent_backend_open", store, nil, backend)
    call("stent_executor_new", backend[0], nil, executor)
    stent.stent_backend_free(backend[0]) -- the executor keeps it open
    return executor[0]
end

-- A run of a function: a coroutine, and what has arrived for it. What it does in its turns is in the same order in every run.
local Flow = {}
Flow.__index = Flow

function Flow.new(poller, task, tag, body)
    local self = setmetatable({ poller = poller, task = task, tag = tag, arrived = {} }, Flow)
    self.thread = coroutine.create(function() return body(self, ffi.string(stent.stent_task_args(task))) end)
    return self
end

-- A turn: until it waits for something that is not there, or its end. What is refused of these three is told by an event.
function Flow:turn()
    local good, result = coroutine.resume(self.thread)
    if not good then
        local said = type(result) == "table" and result or { type = "LuaError", message = tostring(result) }
        local retryable = type(result) ~= "table"
        local json = '{"type": %q, "message": %q, "retryable": %s}'
        local message = said.message:gsub('[%c\\"]', " ")
        stent.stent_task_fail(self.task, json:format(said.type, message, tostring(retryable)), nil)
    elseif coroutine.status(self.thread) == "dead" then
        stent.stent_task_complete_n(self.task, result, #result, nil)
    else
        stent.stent_task_suspend(self.task, nil)
    end
end

-- Starts an operation, and asks to be told of its end. Numbers of 53 bits are enough for the tags of a long life.
local OPS = 2 ^ 20
function Flow:ask(name, ...)
    local op = ffi.new("uint32_t[1]")
    local arguments = { ... }
    arguments[select("#", ...) + 1] = op
    call(name, self.task, unpack(arguments, 1, select("#", ...) + 1))
    call("stent_task_notify", self.task, op[0], self.poller, self.tag * OPS + op[0])
    return op[0]
end

function Flow:wait(op)
    while not self.arrived[op] do coroutine.yield() end
    local outcome = self.arrived[op]
    if outcome.failure then error(outcome.failure, 0) end
    return outcome.json
end

function Flow:spawn(name, args) return self:ask("stent_task_spawn_call_n", name, args, #args, nil) end
function Flow:call(name, args) return self:wait(self:spawn(name, args)) end
function Flow:sleep(duration) return self:wait(self:ask("stent_task_spawn_sleep", duration)) end
function Flow:signal(name) return self:wait(self:ask("stent_task_spawn_wait_signal", name, nil)) end

local functions = {}

function functions.charge(_, args)
    print("charged")
    return ('"receipt for %s"'):format(args:match("%d+"))
end

function functions.ship() error({ type = "OutOfStock", message = "none left" }, 0) end

function functions.square(_, args) return tostring(tonumber(args:match("%d+")) ^ 2) end

function functions.order(flow, args)
    local receipt = flow:call("charge", args)
    flow:sleep("50ms")
    local good, shipped = pcall(flow.call, flow, "ship", "[]")
    if not good then shipped = '"' .. shipped.type .. '"' end
    local squares, sum = {}, 0
    for number = 1, 10 do squares[number] = flow:spawn("square", "[" .. number .. "]") end
    for _, op in ipairs(squares) do sum = sum + tonumber(flow:wait(op)) end
    print("waits for approval")
    local by = flow:signal("approved")
    return ('{"receipt": %s, "shipped": %s, "sum": %d, "approved_by": %s}'):format(receipt, shipped, sum, by)
end

-- Takes events until an order is completed, and the worker has stopped after it.
local function work(executor)
    local poller, worker = ffi.new("stent_poller *[1]"), ffi.new("stent_worker *[1]")
    call("stent_poller_new", poller)
    for name in pairs(functions) do call("stent_executor_register", executor, name, nil, nil, nil, nil) end
    call("stent_worker_start", executor, '{"lease_duration": "2s"}', poller[0], worker)
    local flows, out, stopped = {}, ffi.new("stent_event *[1]"), false
    while not stopped do
        if call("stent_poller_next", poller[0], -1, out) == stent.STENT_OK then
            local event = out[0]
            local type, tag = ffi.string(stent.stent_event_type(event)), tonumber(stent.stent_event_tag(event))
            if type == "task" then
                local task = stent.stent_event_task(event)
                local body = functions[ffi.string(stent.stent_task_function(task))]
                flows[tag] = Flow.new(poller[0], task, tag, body)
                flows[tag]:turn()
            elseif type == "op" then
                local flow, err, length = flows[math.floor(tag / OPS)], stent.stent_event_error(event), ffi.new("size_t[1]")
                local json = stent.stent_event_json_n(event, length)
                if flow then
                    flow.arrived[tag % OPS] = err ~= nil and { failure = failure(err) } or { json = ffi.string(json, length[0]) }
                    flow:turn()
                end
            elseif type == "ended" or type == "evict" or type == "cancel" then
                local flow, outcome = flows[tag], stent.stent_event_outcome(event)
                if flow then
                    local is_order = ffi.string(stent.stent_task_function(flow.task)) == "order"
                    stent.stent_task_free(flow.task)
                    flows[tag] = nil
                    if is_order and outcome ~= nil and ffi.string(outcome) == "completed" then call("stent_worker_drain", worker[0]) end
                end
            elseif type == "worker" then
                stopped = ffi.string(stent.stent_event_json(event)):find('"state":"stopped"', 1, true) ~= nil
            end
            stent.stent_event_free(event)
        end
    end
    stent.stent_worker_free(worker[0])
    stent.stent_poller_free(poller[0])
end

io.stdout:setvbuf("line")
local role, store, id = arg[1], arg[2], arg[3]
local executor, text, length = open(store), ffi.new("char *[1]"), ffi.new("size_t[1]")
if role == "work" then
    work(executor)
elseif role == "start" then
    call("stent_executor_dispatch", executor, "order", "[42]", nil, text)
    print(taken(text))
elseif role == "approve" then
    call("stent_executor_signal", executor, id, "approved", '"Ada"', nil)
elseif role == "result" then
    call("stent_executor_result_n", executor, id, 60000, text, length)
    print(taken(text, length))
else
    error("order.lua work|start STORE, order.lua approve|result STORE ID")
end
stent.stent_executor_free(executor)
call("stent_shutdown", 10000)
