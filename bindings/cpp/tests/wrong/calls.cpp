// What must not compile: each line that says so at its end, for the reason that it says, and no other. Its test reads the
// compiler's errors.
#include <functional>
#include <stent.hpp>

using stent::task;

struct opaque {
    std::function<void()> held;
};

struct two_ways {
    int operator()(task &, int n) const { return n; }
    int operator()(task &, std::string text) const { return static_cast<int>(text.size()); }
};

const stent::function<int(int, std::string)> add("add");
const stent::function<void()> nothing("nothing");
const stent::signal<bool> approved("approved");

void registers(stent::executor &executor) {
    executor.handle("ok", [](task &, const std::string &name, int) { return name; });
    executor.handle("a", [](task &, std::string &name) { name += "!"; });             // wrong: takes its arguments by value or by const reference
    executor.handle("b", [](std::string name) { return name; });                      // wrong: first parameter must be `stent::task &`
    executor.handle("b", [](const task &) {});                                        // wrong: first parameter must be `stent::task &`
    executor.handle("b", [] { return 7; });                                           // wrong: first parameter must be `stent::task &`
    executor.handle("c", 7);                                                          // wrong: a handler must be callable
    executor.handle("c", std::string("greet"));                                       // wrong: a handler must be callable
    executor.handle("d", [](task &) { return opaque(); });                            // wrong: the result of the handler can't be written as JSON
    executor.handle("e", two_ways());                                                 // wrong: one operator() that is no template
    executor.handle("e", [](task &, auto name) { return name; });                     // wrong: one operator() that is no template
    executor.handle("f", [](task &, opaque) {});                                      // wrong: an argument of the handler can't be read from JSON
    executor.handle("f", [](task &, std::string_view) {});                            // wrong: an argument of the handler can't be read from JSON
    executor.handle("g", [n = 0](task &) mutable { return ++n; });                    // wrong: leave `mutable` out

    executor.handle(add, [](task &, int n, auto text) { return n + static_cast<int>(text.size()); });
    executor.handle(add, [](task &, int, std::string, int) { return 1; });            // wrong: too many parameters
    executor.handle(add, [](task &, int) { return 1; });                              // wrong: too few parameters
    executor.handle(add, [](task &, int, int) { return 1; });                         // wrong: does not take what the function is declared to take
    executor.handle(add, [](task &, int, std::string text) { return text; });         // wrong: gives another type
    executor.handle(nothing, [](task &) { return 7; });                               // wrong: gives another type
    executor.handle(add, 7);                                                          // wrong: a handler must be callable
}

void registers_batches(stent::executor &executor) {
    executor.handle_batch("ok", [](const stent::items<int> &items) { return stent::outcomes<void>(items.size()); });
    executor.handle_batch("a", 7);                                                                                   // wrong: a handler must be callable
    executor.handle_batch("b", [](task &, int n) { return n; });                                                     // wrong: takes `const stent::items<…> &` and gives
    executor.handle_batch("b", [](const stent::items<int> &) { return 7; });                                         // wrong: takes `const stent::items<…> &` and gives
    executor.handle_batch("b", [](const stent::items<opaque> &) { return stent::outcomes<int>(); });                 // wrong: an argument of the handler can't be read from JSON
    executor.handle_batch("b", [n = 0](const stent::items<int> &) mutable { ++n; return stent::outcomes<int>(); });  // wrong: leave `mutable` out
    executor.handle_batch("b", [](const auto &) { return stent::outcomes<int>(); });                                 // wrong: one operator() that is no template
    executor.handle_batch(add, [](const stent::items<int, int> &) { return stent::outcomes<int>(); });               // wrong: of the types that the function is declared to take
    executor.handle_batch(add, [](const stent::items<int, std::string> &) { return stent::outcomes<std::string>(); });  // wrong: of the one that it gives
    executor.handle_batch(nothing, [](const stent::items<> &items) { return stent::outcomes<void>(items.size()); });
}

void calls(task &task, stent::executor &executor) {
    const std::int64_t sum = task.call(add(1, "two"));
    static_cast<void>(sum);
    task.call(add(1));                                                                // wrong: another number of arguments
    task.call(add("one", "two"));                                                     // wrong: not of the type that the function takes
    task.call(add(1.5, "two"));                                                       // wrong: not of the type that the function takes
    task.spawn(add(1, 2));                                                            // wrong: not of the type that the function takes
    executor.dispatch(add(1, 2, 3));                                                  // wrong: another number of arguments
    const std::string text = task.call(add(1, "two"));                                // wrong: conversion from
    const std::string told = task.wait_signal(approved);                              // wrong: conversion from
    executor.send("id", approved, std::string("yes"));                                // wrong: cannot convert
    task.step("s", [] { return opaque(); });                                          // wrong: the result of the step can't be written as JSON
    const stent::function<opaque()> unread("unread");                                 // wrong: the result of the function can't be carried
    const stent::function<int(const std::string &)> reference("reference");           // wrong: values, no references
}
