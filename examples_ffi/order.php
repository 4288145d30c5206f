<?php
// An order in PHP, by its own FFI and nothing else: a poller's host, whose workflows are fibers.
//
//     php order.php work STORE          works until an order is completed
//     php order.php start STORE         starts one, and prints its id
//     php order.php approve STORE ID    sends it the signal that it waits for
//     php order.php result STORE ID     waits for its result, and prints it
//
// A callback on another thread than PHP's own crashes it, so nothing is called back here.

declare(strict_types=1);

final class Failure extends Exception
{
    public function __construct(string $message, public readonly ?string $type)
    {
        parent::__construct($message);
    }
}

// The library, declared by include/stent.cdef.
final class Stent
{
    public static FFI $c;

    public static function load(): void
    {
        $library = (getenv('STENT_LIB_DIR') ?: dirname(__DIR__) . '/target/release') . '/libstent.so.0';
        self::$c = FFI::cdef(file_get_contents(dirname(__DIR__) . '/include/stent.cdef'), $library);
    }

    // Calls a function whose last parameter is the error, and throws what it says.
    public static function call(string $function, mixed ...$arguments): int
    {
        $error = self::$c->new('stent_error *');
        $status = self::$c->$function(...[...$arguments, FFI::addr($error)]);
        return $status < 0 ? throw self::failure($error) : $status;
    }

    // The failure that an error tells of; the error is freed.
    public static function failure(FFI\CData $error): Failure
    {
        $type = self::$c->stent_error_failure_type($error);
        $message = self::$c->stent_error_failure_message($error) ?? self::$c->stent_error_message($error);
        self::$c->stent_error_free($error);
        return new Failure($message, $type);
    }

    // What a function gives by a pointer: a handle, or a text, which is freed.
    public static function made(string $type, string $function, mixed ...$arguments): FFI\CData
    {
        $out = self::$c->new("$type *");
        self::call($function, ...[...$arguments, FFI::addr($out)]);
        return $out;
    }

    public static function text(FFI\CData $text): string
    {
        $copy = FFI::string($text);
        self::$c->stent_free($text);
        return $copy;
    }

    public static function executor(string $store): FFI\CData
    {
        $backend = self::made('stent_backend', 'stent_backend_open', $store, null);
        $executor = self::made('stent_executor', 'stent_executor_new', $backend, null);
        self::$c->stent_backend_free($backend); // the executor keeps it open
        return $executor;
    }
}

// A run of a function: a fiber, and what has arrived for it. What it does in its turns is in the same order in every run.
final class Flow
{
    private const BITS = 20; // of a tag: the number of an operation, beside that of the task

    private array $arrived = [];
    private Fiber $fiber;

    public function __construct(private FFI\CData $poller, public readonly FFI\CData $task, private int $tag, callable $body)
    {
        $args = json_decode(Stent::$c->stent_task_args($task), true, flags: JSON_THROW_ON_ERROR);
        $this->fiber = new Fiber(fn () => $body($this, ...$args));
    }

    public static function of(array $flows, int $tag): ?Flow
    {
        return $flows[$tag >> self::BITS] ?? null;
    }

    // A turn: until it waits for something that is not there, or its end. What is refused of these three is told by an event.
    public function turn(): void
    {
        try {
            $this->fiber->isStarted() ? $this->fiber->resume() : $this->fiber->start();
        } catch (Throwable $thrown) {
            $type = $thrown instanceof Failure && $thrown->type !== null ? $thrown->type : $thrown::class;
            $failure = ['type' => $type, 'message' => $thrown->getMessage(), 'retryable' => !$thrown instanceof Failure];
            Stent::$c->stent_task_fail($this->task, json_encode($failure), null);
            return;
        }
        if ($this->fiber->isTerminated()) {
            Stent::$c->stent_task_complete($this->task, json_encode($this->fiber->getReturn()), null);
        } else {
            Stent::$c->stent_task_suspend($this->task, null);
        }
    }

    // An operation has ended, well or not.
    public function arrive(int $tag, mixed $outcome): void
    {
        $this->arrived[$tag & ((1 << self::BITS) - 1)] = [$outcome];
        $this->turn();
    }

    // Starts an operation, and asks to be told of its end.
    private function ask(string $function, mixed ...$arguments): int
    {
        $op = Stent::$c->new('uint32_t');
        Stent::call($function, ...[$this->task, ...$arguments, FFI::addr($op)]);
        Stent::call('stent_task_notify', $this->task, $op->cdata, $this->poller, $this->tag << self::BITS | $op->cdata);
        return $op->cdata;
    }

    public function wait(int $op): mixed
    {
        while (!isset($this->arrived[$op])) {
            Fiber::suspend();
        }
        [$outcome] = $this->arrived[$op];
        return $outcome instanceof Failure ? throw $outcome : $outcome;
    }

    public function spawn(string $function, mixed ...$args): int
    {
        return $this->ask('stent_task_spawn_call', $function, json_encode($args), null);
    }

    public function call(string $function, mixed ...$args): mixed
    {
        return $this->wait($this->spawn($function, ...$args));
    }

    public function sleep(string $duration): void
    {
        $this->wait($this->ask('stent_task_spawn_sleep', $duration));
    }

    public function signal(string $name): mixed
    {
        return $this->wait($this->ask('stent_task_spawn_wait_signal', $name, null));
    }
}

$functions = [
    'charge' => function (Flow $flow, int $amount): string {
        echo "charged\n";
        return "receipt for $amount";
    },
    'ship' => fn (Flow $flow) => throw new Failure('none left', 'OutOfStock'),
    'square' => fn (Flow $flow, int $number): int => $number ** 2,
    'order' => function (Flow $flow, int $amount): array {
        $receipt = $flow->call('charge', $amount);
        $flow->sleep('50ms');
        try {
            $shipped = $flow->call('ship');
        } catch (Failure $failure) {
            $shipped = $failure->type;
        }
        $squares = array_map(fn ($number) => $flow->spawn('square', $number), range(1, 10));
        $sum = array_sum(array_map($flow->wait(...), $squares));
        echo "waits for approval\n";
        return ['receipt' => $receipt, 'shipped' => $shipped, 'sum' => $sum, 'approved_by' => $flow->signal('approved')];
    },
];

// Takes events until an order is completed, and the worker has stopped after it.
function work(FFI\CData $executor, array $functions): void
{
    $c = Stent::$c;
    $poller = Stent::made('stent_poller', 'stent_poller_new');
    foreach (array_keys($functions) as $name) {
        Stent::call('stent_executor_register', $executor, $name, null, null, null, null);
    }
    $worker = Stent::made('stent_worker', 'stent_worker_start', $executor, '{"lease_duration": "2s"}', $poller);
    $flows = [];
    for ($stopped = false; !$stopped;) {
        $event = $c->new('stent_event *');
        if (Stent::call('stent_poller_next', $poller, -1, FFI::addr($event)) === $c->STENT_PENDING) {
            continue;
        }
        $tag = $c->stent_event_tag($event);
        switch ($c->stent_event_type($event)) {
            case 'task':
                $task = $c->stent_event_task($event);
                $flows[$tag] = new Flow($poller, $task, $tag, $functions[$c->stent_task_function($task)]);
                $flows[$tag]->turn();
                break;
            case 'op':
                $error = $c->stent_event_error($event);
                $outcome = $error === null ? json_decode($c->stent_event_json($event), true) : Stent::failure($error);
                Flow::of($flows, $tag)?->arrive($tag, $outcome);
                break;
            case 'ended':
            case 'evict':
            case 'cancel':
                if (isset($flows[$tag])) {
                    $is_order = $c->stent_task_function($flows[$tag]->task) === 'order';
                    $c->stent_task_free($flows[$tag]->task);
                    unset($flows[$tag]);
                    if ($is_order && $c->stent_event_outcome($event) === 'completed') {
                        Stent::call('stent_worker_drain', $worker);
                    }
                }
                break;
            case 'worker':
                $stopped = json_decode($c->stent_event_json($event), true)['state'] === 'stopped';
        }
        $c->stent_event_free($event);
    }
    $c->stent_worker_free($worker);
    $c->stent_poller_free($poller);
}

Stent::load();
[, $role, $store, $id] = [...$argv, null, null, null];
$executor = Stent::executor($store);
match ($role) {
    'work' => work($executor, $functions),
    'start' => print Stent::text(Stent::made('char', 'stent_executor_dispatch', $executor, 'order', '[42]', null)) . "\n",
    'approve' => Stent::call('stent_executor_signal', $executor, $id, 'approved', '"Ada"', null),
    'result' => print Stent::text(Stent::made('char', 'stent_executor_result', $executor, $id, 60_000)) . "\n",
};
Stent::$c->stent_executor_free($executor);
Stent::call('stent_shutdown', 10_000);
