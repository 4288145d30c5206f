// Functions and signals as references with types: calls of them are checked when they are compiled.
//
//   const stent::function<std::string(std::string)> greet("greet");
//
//   executor.handle(greet, [](stent::task &, std::string name) { return "hello, " + name; });
//   std::string greeting = task.call(greet("ada"));                     // in a handler; spawn and map too
//   std::string again = executor.dispatch(greet("ada")).result(10s);    // from outside
#ifndef STENT_FUNCTION_HPP
#define STENT_FUNCTION_HPP

#include "error.hpp"

namespace stent {

// A call that is to be made: of a function whose result is an R.
template <class R>
struct request {
    std::string function;
    arguments args;
};

namespace detail {

// Whether a value is taken for an argument: not a number for one that would lose of it, and no pointer for a bool.
template <class Given, class Wanted>
constexpr bool is_argument = std::is_convertible_v<const Given &, Wanted> &&
                             !(std::is_integral_v<Wanted> && std::is_floating_point_v<Given>) &&
                             !(std::is_same_v<Wanted, bool> && !std::is_same_v<Given, bool>);

}  // namespace detail

template <class Signature>
class function {
    static_assert(!sizeof(Signature), "stent: a function is named with its signature: stent::function<std::string(std::string)>");
};

// A function of whatever language, by its name.
template <class R, class... A>
class function<R(A...)> {
    static_assert((std::is_same_v<A, std::decay_t<A>> && ...), "stent: the arguments of a stent::function are values, no references");
    static_assert(((detail::has_encode<A>::value && detail::has_decode<A>::value) && ...),
                  "stent: an argument of the function can't be carried as JSON: specialize stent::codec for its type");
    static_assert(std::is_void_v<R> || (detail::has_encode<R>::value && detail::has_decode<R>::value),
                  "stent: the result of the function can't be carried as JSON: specialize stent::codec for its type");

public:
    explicit function(std::string name) : name_(std::move(name)) {}

    const std::string &name() const { return name_; }

    // A call of it with these arguments.
    template <class... Given>
    request<R> operator()(const Given &...given) const {
        constexpr bool as_many = sizeof...(Given) == sizeof...(A);
        static_assert(as_many, "stent: the function takes another number of arguments");
        if constexpr (as_many) {
            constexpr bool fit = (detail::is_argument<std::decay_t<const Given>, A> && ...);
            static_assert(fit, "stent: an argument is not of the type that the function takes");
            if constexpr (fit) return {name_, stent::args(static_cast<A>(given)...)};
        }
        return {name_, {}};
    }

private:
    std::string name_;
};

// A signal whose payload is a P, by its name.
template <class P>
class signal {
public:
    explicit signal(std::string name) : name_(std::move(name)) {}

    const std::string &name() const { return name_; }

private:
    std::string name_;
};

}  // namespace stent

#endif
