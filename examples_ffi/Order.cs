// An order in C#, by P/Invoke: a poller's host, whose workflows are async methods on one thread.
//
//     mcs Order.cs
//     mono Order.exe work STORE          works until an order is completed
//     mono Order.exe start STORE         starts one, and prints its id
//     mono Order.exe approve STORE ID    sends it the signal that it waits for
//     mono Order.exe result STORE ID     waits for its result, and prints it
//
// The loader finds libstent.so.0 (LD_LIBRARY_PATH). Values stay the JSON that they are: take the reader that you have.

using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading.Tasks;

// What is used here of stent.h. Text goes in as UTF-8, ended by a NUL: see C.Utf8.
static class C {
    const string Lib = "libstent.so.0";
    public const int Pending = 1;

    [DllImport(Lib)] public static extern int stent_backend_open(byte[] url, byte[] options, out IntPtr backend, out IntPtr error);
    [DllImport(Lib)] public static extern void stent_backend_free(IntPtr backend);
    [DllImport(Lib)] public static extern int stent_executor_new(IntPtr backend, byte[] options, out IntPtr executor, out IntPtr error);
    [DllImport(Lib)] public static extern int stent_executor_register(IntPtr executor, byte[] function, byte[] options, IntPtr handler, IntPtr data, IntPtr free, out IntPtr error);
    [DllImport(Lib)] public static extern int stent_executor_dispatch(IntPtr executor, byte[] function, byte[] args, byte[] options, out IntPtr id, out IntPtr error);
    [DllImport(Lib)] public static extern int stent_executor_signal(IntPtr executor, byte[] id, byte[] name, byte[] payload, byte[] options, out IntPtr error);
    [DllImport(Lib)] public static extern int stent_executor_result(IntPtr executor, byte[] id, long timeoutMs, out IntPtr result, out IntPtr error);
    [DllImport(Lib)] public static extern void stent_executor_free(IntPtr executor);
    [DllImport(Lib)] public static extern int stent_poller_new(out IntPtr poller, out IntPtr error);
    [DllImport(Lib)] public static extern int stent_poller_next(IntPtr poller, long timeoutMs, out IntPtr evt, out IntPtr error);
    [DllImport(Lib)] public static extern void stent_poller_free(IntPtr poller);
    [DllImport(Lib)] public static extern int stent_worker_start(IntPtr executor, byte[] options, IntPtr poller, out IntPtr worker, out IntPtr error);
    [DllImport(Lib)] public static extern int stent_worker_drain(IntPtr worker, out IntPtr error);
    [DllImport(Lib)] public static extern void stent_worker_free(IntPtr worker);
    [DllImport(Lib)] public static extern IntPtr stent_event_type(IntPtr evt);
    [DllImport(Lib)] public static extern ulong stent_event_tag(IntPtr evt);
    [DllImport(Lib)] public static extern IntPtr stent_event_json(IntPtr evt);
    [DllImport(Lib)] public static extern IntPtr stent_event_outcome(IntPtr evt);
    [DllImport(Lib)] public static extern IntPtr stent_event_error(IntPtr evt);
    [DllImport(Lib)] public static extern IntPtr stent_event_task(IntPtr evt);
    [DllImport(Lib)] public static extern void stent_event_free(IntPtr evt);
    [DllImport(Lib)] public static extern IntPtr stent_task_function(IntPtr task);
    [DllImport(Lib)] public static extern IntPtr stent_task_args(IntPtr task);
    [DllImport(Lib)] public static extern int stent_task_spawn_call(IntPtr task, byte[] function, byte[] args, byte[] options, out uint op, out IntPtr error);
    [DllImport(Lib)] public static extern int stent_task_spawn_sleep(IntPtr task, byte[] duration, out uint op, out IntPtr error);
    [DllImport(Lib)] public static extern int stent_task_spawn_wait_signal(IntPtr task, byte[] name, byte[] options, out uint op, out IntPtr error);
    [DllImport(Lib)] public static extern int stent_task_notify(IntPtr task, uint op, IntPtr poller, ulong tag, out IntPtr error);
    [DllImport(Lib)] public static extern int stent_task_suspend(IntPtr task, out IntPtr error);
    [DllImport(Lib)] public static extern int stent_task_complete(IntPtr task, byte[] result, out IntPtr error);
    [DllImport(Lib)] public static extern int stent_task_fail(IntPtr task, byte[] failure, out IntPtr error);
    [DllImport(Lib)] public static extern void stent_task_free(IntPtr task);
    [DllImport(Lib)] public static extern IntPtr stent_error_message(IntPtr error);
    [DllImport(Lib)] public static extern IntPtr stent_error_failure_type(IntPtr error);
    [DllImport(Lib)] public static extern void stent_error_free(IntPtr error);
    [DllImport(Lib)] public static extern void stent_free(IntPtr text);
    [DllImport(Lib)] public static extern int stent_shutdown(long timeoutMs, out IntPtr error);

    public static byte[] Utf8(string text) => text == null ? null : Encoding.UTF8.GetBytes(text + "\0");

    public static string Text(IntPtr text) {
        if (text == IntPtr.Zero) return null;
        int length = 0;
        while (Marshal.ReadByte(text, length) != 0) length++;
        var bytes = new byte[length];
        Marshal.Copy(text, bytes, 0, length);
        return Encoding.UTF8.GetString(bytes);
    }

    /// A text that is the caller's.
    public static string Taken(IntPtr text) {
        var copy = Text(text);
        stent_free(text);
        return copy;
    }

    /// Throws what went wrong; with a status that is no failure the error is none.
    public static int Ok(int status, IntPtr error) => status < 0 ? throw Failure.Of(error) : status;
}

/// What failed: a call of the library, or, with a type, a function.
sealed class Failure : Exception {
    public readonly string Type;

    public Failure(string type, string message) : base(message) { Type = type; }

    /// Of an error, which is freed.
    public static Failure Of(IntPtr error) {
        var failure = new Failure(C.Text(C.stent_error_failure_type(error)), C.Text(C.stent_error_message(error)));
        C.stent_error_free(error);
        return failure;
    }
}

/// A run of a function: its method, and what it waits for. What it does in its turns is in the same order in every run.
sealed class Flow {
    public const int Bits = 20; // of a tag: the number of an operation, beside that of the task
    public readonly IntPtr Task;
    readonly IntPtr poller;
    readonly ulong tag;
    readonly Func<Flow, int, Task<string>> body;
    readonly Dictionary<uint, TaskCompletionSource<string>> asked = new Dictionary<uint, TaskCompletionSource<string>>();
    Task<string> run;

    public Flow(IntPtr poller, IntPtr task, ulong tag, Func<Flow, int, Task<string>> body) {
        this.poller = poller;
        Task = task;
        this.tag = tag;
        this.body = body;
    }

    public void Begin() {
        int.TryParse(C.Text(C.stent_task_args(Task)).Trim('[', ']'), out int number);
        run = body(this, number);
        EndTurn();
    }

    /// What awaits the operation goes on in here, on this thread, to its next await.
    public void Arrive(uint op, string json, Failure failure) {
        if (failure == null) asked[op].SetResult(json); else asked[op].SetException(failure);
        EndTurn();
    }

    /// What is refused of the three ends is told by an event.
    void EndTurn() {
        IntPtr error;
        if (!run.IsCompleted) {
            C.stent_task_suspend(Task, out error);
        } else if (run.IsFaulted) {
            var why = run.Exception.InnerException;
            var type = (why as Failure)?.Type ?? why.GetType().Name;
            var retryable = why is Failure ? "false" : "true";
            var json = $"{{\"type\": \"{type}\", \"message\": \"{why.Message.Replace('"', '\'')}\", \"retryable\": {retryable}}}";
            C.stent_task_fail(Task, C.Utf8(json), out error);
        } else {
            C.stent_task_complete(Task, C.Utf8(run.Result), out error);
        }
        C.stent_error_free(error);
    }

    Task<string> Ask(uint op) {
        IntPtr error;
        C.Ok(C.stent_task_notify(Task, op, poller, tag << Bits | op, out error), error);
        return (asked[op] = new TaskCompletionSource<string>()).Task;
    }

    public Task<string> Call(string function, string args) {
        IntPtr error;
        C.Ok(C.stent_task_spawn_call(Task, C.Utf8(function), C.Utf8(args), null, out uint op, out error), error);
        return Ask(op);
    }

    public Task<string> Sleep(string duration) {
        IntPtr error;
        C.Ok(C.stent_task_spawn_sleep(Task, C.Utf8(duration), out uint op, out error), error);
        return Ask(op);
    }

    public Task<string> Signal(string name) {
        IntPtr error;
        C.Ok(C.stent_task_spawn_wait_signal(Task, C.Utf8(name), null, out uint op, out error), error);
        return Ask(op);
    }
}

static class Order {
    static Task<string> Charge(Flow flow, int amount) {
        Console.WriteLine("charged");
        return Task.FromResult($"\"receipt for {amount}\"");
    }

    static Task<string> Ship(Flow flow, int number) => Task.FromException<string>(new Failure("OutOfStock", "none left"));

    static Task<string> Square(Flow flow, int number) => Task.FromResult((number * number).ToString());

    static async Task<string> Run(Flow flow, int amount) {
        var receipt = await flow.Call("charge", $"[{amount}]");
        await flow.Sleep("50ms");
        string shipped;
        try {
            shipped = await flow.Call("ship", null);
        } catch (Failure failed) {
            shipped = $"\"{failed.Type}\"";
        }
        var squares = Enumerable.Range(1, 10).Select(number => flow.Call("square", $"[{number}]")).ToList();
        int sum = 0;
        foreach (var square in squares) sum += int.Parse(await square);
        Console.WriteLine("waits for approval");
        var by = await flow.Signal("approved");
        return $"{{\"receipt\": {receipt}, \"shipped\": {shipped}, \"sum\": {sum}, \"approved_by\": {by}}}";
    }

    static readonly Dictionary<string, Func<Flow, int, Task<string>>> functions =
        new Dictionary<string, Func<Flow, int, Task<string>>> {
            { "charge", Charge }, { "ship", Ship }, { "square", Square }, { "order", Run },
        };

    /// Takes events until an order is completed, and the worker has stopped after it.
    static void Work(IntPtr executor) {
        IntPtr poller, worker, evt, error;
        C.Ok(C.stent_poller_new(out poller, out error), error);
        foreach (var name in functions.Keys)
            C.Ok(C.stent_executor_register(executor, C.Utf8(name), null, IntPtr.Zero, IntPtr.Zero, IntPtr.Zero, out error), error);
        C.Ok(C.stent_worker_start(executor, C.Utf8("{\"lease_duration\": \"2s\"}"), poller, out worker, out error), error);
        var flows = new Dictionary<ulong, Flow>();
        Flow flow;
        for (bool hasStopped = false; !hasStopped;) {
            if (C.Ok(C.stent_poller_next(poller, -1, out evt, out error), error) == C.Pending) continue;
            ulong tag = C.stent_event_tag(evt);
            switch (C.Text(C.stent_event_type(evt))) {
                case "task":
                    var task = C.stent_event_task(evt);
                    flows[tag] = new Flow(poller, task, tag, functions[C.Text(C.stent_task_function(task))]);
                    flows[tag].Begin();
                    break;
                case "op":
                    var why = C.stent_event_error(evt);
                    var failure = why == IntPtr.Zero ? null : Failure.Of(why);
                    if (flows.TryGetValue(tag >> Flow.Bits, out flow))
                        flow.Arrive((uint)(tag & (1 << Flow.Bits) - 1), C.Text(C.stent_event_json(evt)), failure);
                    break;
                case "ended":
                case "evict":
                case "cancel":
                    if (!flows.TryGetValue(tag, out flow)) break;
                    bool isOrder = C.Text(C.stent_task_function(flow.Task)) == "order";
                    C.stent_task_free(flow.Task);
                    flows.Remove(tag);
                    if (isOrder && C.Text(C.stent_event_outcome(evt)) == "completed") C.Ok(C.stent_worker_drain(worker, out error), error);
                    break;
                case "worker":
                    hasStopped = C.Text(C.stent_event_json(evt)).Contains("\"state\":\"stopped\"");
                    break;
            }
            C.stent_event_free(evt);
        }
        C.stent_worker_free(worker);
        C.stent_poller_free(poller);
    }

    static void Main(string[] arguments) {
        IntPtr backend, executor, text, error;
        C.Ok(C.stent_backend_open(C.Utf8(arguments[1]), null, out backend, out error), error);
        C.Ok(C.stent_executor_new(backend, null, out executor, out error), error);
        var id = C.Utf8(arguments.ElementAtOrDefault(2));
        switch (arguments[0]) {
            case "work": Work(executor); break;
            case "start":
                C.Ok(C.stent_executor_dispatch(executor, C.Utf8("order"), C.Utf8("[42]"), null, out text, out error), error);
                Console.WriteLine(C.Taken(text));
                break;
            case "approve":
                C.Ok(C.stent_executor_signal(executor, id, C.Utf8("approved"), C.Utf8("\"Ada\""), null, out error), error);
                break;
            case "result":
                C.Ok(C.stent_executor_result(executor, id, 60000, out text, out error), error);
                Console.WriteLine(C.Taken(text));
                break;
            default: throw new ArgumentException("work, start, approve or result?");
        }
        C.stent_executor_free(executor);
        C.stent_backend_free(backend);
        C.Ok(C.stent_shutdown(10000, out error), error);
    }
}
