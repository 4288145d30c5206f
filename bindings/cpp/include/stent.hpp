// stent.hpp: durable executions in C++17, over the C API of stent.h. Header-only.
//
//   stent::backend   an open store                     stent::task      what a handler is given
//   stent::executor  functions and executions on it    stent::op        a started operation of a task
//   stent::worker    runs the handlers                 stent::json      a JSON value, as text
//   stent::error     what a failed call throws         stent::failure   what a handler throws to fail its task
//   stent::function  a function with types, by name    stent::signal    a signal with a type, by name
//
// Handles are move-only and free themselves, in any order. Every function may be called on any thread, unless it says
// otherwise. Durations are std::chrono's; a negative time-out waits for as long as it takes.
#ifndef STENT_HPP
#define STENT_HPP

#include "stent/batch.hpp"
#include "stent/bytes.hpp"
#include "stent/custom.hpp"
#include "stent/error.hpp"
#include "stent/executor.hpp"
#include "stent/follow.hpp"
#include "stent/function.hpp"
#include "stent/json.hpp"
#include "stent/log.hpp"
#include "stent/options.hpp"
#include "stent/service.hpp"
#include "stent/task.hpp"
#include "stent/values.hpp"

#endif
