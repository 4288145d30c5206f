// An order in Java, by JNA: a poller's host without coroutines. On each turn a workflow runs again from the top, over the
// results that its flow keeps; what is not there yet ends the turn.
//
//     javac -cp jna.jar Order.java
//     java -cp jna.jar:. Order work STORE          works until an order is completed
//     java -cp jna.jar:. Order start STORE         starts one, and prints its id
//     java -cp jna.jar:. Order approve STORE ID    sends it the signal that it waits for
//     java -cp jna.jar:. Order result STORE ID     waits for its result, and prints it
//
// Values stay the JSON that they are: take the reader of JSON that you have.

import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.IntByReference;
import com.sun.jna.ptr.PointerByReference;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

public final class Order {
    /** What is used here of stent.h. */
    interface C extends Library {
        int PENDING = 1;

        int stent_backend_open(String url, String options, PointerByReference backend, PointerByReference error);
        void stent_backend_free(Pointer backend);
        int stent_executor_new(Pointer backend, String options, PointerByReference executor, PointerByReference error);
        int stent_executor_register(Pointer executor, String function, String options, Pointer handler, Pointer data, Pointer free, PointerByReference error);
        int stent_executor_dispatch(Pointer executor, String function, String args, String options, PointerByReference id, PointerByReference error);
        int stent_executor_signal(Pointer executor, String id, String name, String payload, String options, PointerByReference error);
        int stent_executor_result(Pointer executor, String id, long timeoutMs, PointerByReference result, PointerByReference error);
        void stent_executor_free(Pointer executor);
        int stent_poller_new(PointerByReference poller, PointerByReference error);
        int stent_poller_next(Pointer poller, long timeoutMs, PointerByReference event, PointerByReference error);
        void stent_poller_free(Pointer poller);
        int stent_worker_start(Pointer executor, String options, Pointer poller, PointerByReference worker, PointerByReference error);
        int stent_worker_drain(Pointer worker, PointerByReference error);
        void stent_worker_free(Pointer worker);
        String stent_event_type(Pointer event);
        long stent_event_tag(Pointer event);
        String stent_event_json(Pointer event);
        String stent_event_outcome(Pointer event);
        Pointer stent_event_error(Pointer event);
        Pointer stent_event_task(Pointer event);
        void stent_event_free(Pointer event);
        String stent_task_function(Pointer task);
        String stent_task_args(Pointer task);
        int stent_task_spawn_call(Pointer task, String function, String args, String options, IntByReference op, PointerByReference error);
        int stent_task_spawn_sleep(Pointer task, String duration, IntByReference op, PointerByReference error);
        int stent_task_spawn_wait_signal(Pointer task, String name, String options, IntByReference op, PointerByReference error);
        int stent_task_notify(Pointer task, int op, Pointer poller, long tag, PointerByReference error);
        int stent_task_suspend(Pointer task, PointerByReference error);
        int stent_task_complete(Pointer task, String result, PointerByReference error);
        int stent_task_fail(Pointer task, String failure, PointerByReference error);
        void stent_task_free(Pointer task);
        String stent_error_message(Pointer error);
        String stent_error_failure_type(Pointer error);
        void stent_error_free(Pointer error);
        void stent_free(Pointer text);
        int stent_shutdown(long timeoutMs, PointerByReference error);
    }

    static final C c = Native.load(
        System.getenv().getOrDefault("STENT_LIB_DIR", "target/release") + "/libstent.so.0", C.class,
        Map.of(Library.OPTION_STRING_ENCODING, "UTF-8"));

    /** What failed: a call of the library, or, with a type, a function. */
    static final class Failure extends RuntimeException {
        final String type;

        Failure(String type, String message) {
            super(message);
            this.type = type;
        }

        /** Of an error, which is freed. */
        static Failure of(Pointer error) {
            var failure = new Failure(c.stent_error_failure_type(error), c.stent_error_message(error));
            c.stent_error_free(error);
            return failure;
        }
    }

    /** Nothing to do before something arrives: ends the turn. */
    static final class Waits extends RuntimeException {
        Waits() {
            super(null, null, false, false);
        }
    }

    interface Call {
        int with(PointerByReference error);
    }

    static int ok(Call call) {
        var error = new PointerByReference();
        int status = call.with(error);
        if (status < 0) throw Failure.of(error.getValue());
        return status;
    }

    interface Make {
        int with(PointerByReference made, PointerByReference error);
    }

    static Pointer made(Make make) {
        var made = new PointerByReference();
        ok(error -> make.with(made, error));
        return made.getValue();
    }

    static String text(Pointer text) {
        String copy = text.getString(0, "UTF-8");
        c.stent_free(text);
        return copy;
    }

    interface Start {
        int with(IntByReference op, PointerByReference error);
    }

    interface Body {
        String run(Flow flow, int number);
    }

    /** A run of a function: the operations that its runs have started, and what has arrived. */
    static final class Flow {
        static final int BITS = 20; // of a tag: the number of an operation, beside that of the task
        final Pointer poller, task;
        final long tag;
        final Body body;
        final List<Integer> started = new ArrayList<>();
        final Map<Integer, Object> arrived = new HashMap<>();
        int asked;

        Flow(Pointer poller, Pointer task, long tag, Body body) {
            this.poller = poller;
            this.task = task;
            this.tag = tag;
            this.body = body;
        }

        /** What is refused of the three ends is told by an event. */
        void turn() {
            asked = 0;
            try {
                int number = Integer.parseInt("0" + c.stent_task_args(task).replaceAll("\\D", ""));
                String result = body.run(this, number);
                c.stent_task_complete(task, result, null);
            } catch (Waits waits) {
                c.stent_task_suspend(task, null);
            } catch (Failure failed) {
                String type = failed.type == null ? "StentError" : failed.type;
                String failure = String.format("{\"type\": \"%s\", \"message\": \"none left\", \"retryable\": false}", type);
                c.stent_task_fail(task, failure, null);
            }
        }

        void arrive(int op, Object outcome) {
            arrived.put(op, outcome);
            turn();
        }

        /** The next operation of this run: the one that an earlier run started, or a new one. */
        int next(Start start) {
            if (asked == started.size()) {
                var op = new IntByReference();
                ok(error -> start.with(op, error));
                ok(error -> c.stent_task_notify(task, op.getValue(), poller, tag << BITS | op.getValue(), error));
                started.add(op.getValue());
            }
            return started.get(asked++);
        }

        String wait(int op) {
            Object outcome = arrived.get(op);
            if (outcome == null) throw new Waits();
            if (outcome instanceof Failure) throw (Failure) outcome;
            return (String) outcome;
        }

        int spawn(String function, String args) {
            return next((op, error) -> c.stent_task_spawn_call(task, function, args, null, op, error));
        }

        String call(String function, String args) {
            return wait(spawn(function, args));
        }

        void sleep(String duration) {
            wait(next((op, error) -> c.stent_task_spawn_sleep(task, duration, op, error)));
        }

        String signal(String name) {
            return wait(next((op, error) -> c.stent_task_spawn_wait_signal(task, name, null, op, error)));
        }
    }

    static final Map<String, Body> FUNCTIONS = Map.of(
        "charge", (flow, amount) -> {
            System.out.println("charged");
            return "\"receipt for " + amount + "\"";
        },
        "ship", (flow, number) -> {
            throw new Failure("OutOfStock", "none left");
        },
        "square", (flow, number) -> Integer.toString(number * number),
        "order", Order::order);

    static String order(Flow flow, int amount) {
        String receipt = flow.call("charge", "[" + amount + "]"), shipped;
        flow.sleep("50ms");
        try {
            shipped = flow.call("ship", null);
        } catch (Failure failed) {
            shipped = '"' + failed.type + '"';
        }
        List<Integer> squares = new ArrayList<>();
        for (int number = 1; number <= 10; number++) squares.add(flow.spawn("square", "[" + number + "]"));
        int sum = 0;
        for (int op : squares) sum += Integer.parseInt(flow.wait(op));
        System.out.println("waits for approval");
        String by = flow.signal("approved");
        return String.format("{\"receipt\": %s, \"shipped\": %s, \"sum\": %d, \"approved_by\": %s}", receipt, shipped, sum, by);
    }

    /** Takes events until an order is completed, and the worker has stopped after it. */
    static void work(Pointer executor) {
        Pointer poller = made(c::stent_poller_new);
        for (String name : FUNCTIONS.keySet()) ok(error -> c.stent_executor_register(executor, name, null, null, null, null, error));
        Pointer worker = made((out, error) -> c.stent_worker_start(executor, "{\"lease_duration\": \"2s\"}", poller, out, error));
        Map<Long, Flow> flows = new HashMap<>();
        var out = new PointerByReference();
        for (boolean hasStopped = false; !hasStopped;) {
            if (ok(error -> c.stent_poller_next(poller, -1, out, error)) == C.PENDING) continue;
            Pointer event = out.getValue();
            long tag = c.stent_event_tag(event);
            String type = c.stent_event_type(event);
            switch (type) {
                case "task": {
                    Pointer task = c.stent_event_task(event);
                    flows.put(tag, new Flow(poller, task, tag, FUNCTIONS.get(c.stent_task_function(task))));
                    flows.get(tag).turn();
                    break;
                }
                case "op": {
                    Pointer error = c.stent_event_error(event);
                    Object outcome = error == null ? c.stent_event_json(event) : Failure.of(error);
                    Flow flow = flows.get(tag >> Flow.BITS);
                    if (flow != null) flow.arrive((int) (tag & (1 << Flow.BITS) - 1), outcome);
                    break;
                }
                case "ended": case "evict": case "cancel": {
                    Flow flow = flows.remove(tag);
                    if (flow == null) break;
                    boolean isOrder = c.stent_task_function(flow.task).equals("order");
                    c.stent_task_free(flow.task);
                    if (isOrder && "completed".equals(c.stent_event_outcome(event))) ok(error -> c.stent_worker_drain(worker, error));
                    break;
                }
                case "worker":
                    hasStopped = c.stent_event_json(event).contains("\"state\":\"stopped\"");
                    break;
                default:
            }
            c.stent_event_free(event);
        }
        c.stent_worker_free(worker);
        c.stent_poller_free(poller);
    }

    public static void main(String[] arguments) {
        Pointer backend = made((out, error) -> c.stent_backend_open(arguments[1], null, out, error));
        Pointer executor = made((out, error) -> c.stent_executor_new(backend, null, out, error));
        switch (arguments[0]) {
            case "work": work(executor); break;
            case "start":
                System.out.println(text(made((out, error) -> c.stent_executor_dispatch(executor, "order", "[42]", null, out, error))));
                break;
            case "approve": ok(error -> c.stent_executor_signal(executor, arguments[2], "approved", "\"Ada\"", null, error)); break;
            case "result":
                System.out.println(text(made((out, error) -> c.stent_executor_result(executor, arguments[2], 60000, out, error))));
                break;
            default: throw new IllegalArgumentException("work, start, approve or result?");
        }
        c.stent_executor_free(executor);
        c.stent_backend_free(backend);
        ok(error -> c.stent_shutdown(10000, error));
    }
}
