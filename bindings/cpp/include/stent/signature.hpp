// What a handler takes and gives, read off its type; and for each that can't be one, a sentence that says so.
#ifndef STENT_SIGNATURE_HPP
#define STENT_SIGNATURE_HPP

#include "task.hpp"

namespace stent {

namespace detail {

// Of a call: what it gives and what it takes, the task included.
template <class R, class... A>
struct shape {
    static constexpr bool is_known = true, is_const = true;
    using result = R;
    using parameters = std::tuple<A...>;
};

template <class Shape>
struct mutable_shape : Shape {
    static constexpr bool is_const = false;
};

struct unknown_shape {
    static constexpr bool is_known = false, is_const = true;
};

template <class T>
struct shape_of_operator : unknown_shape {};
template <class C, class R, class... A>
struct shape_of_operator<R (C::*)(A...) const> : shape<R, A...> {};
template <class C, class R, class... A>
struct shape_of_operator<R (C::*)(A...) const &> : shape<R, A...> {};
template <class C, class R, class... A>
struct shape_of_operator<R (C::*)(A...) const noexcept> : shape<R, A...> {};
template <class C, class R, class... A>
struct shape_of_operator<R (C::*)(A...) const & noexcept> : shape<R, A...> {};
template <class C, class R, class... A>
struct shape_of_operator<R (C::*)(A...)> : mutable_shape<shape<R, A...>> {};
template <class C, class R, class... A>
struct shape_of_operator<R (C::*)(A...) noexcept> : mutable_shape<shape<R, A...>> {};

template <class T, class = void>
struct shape_of : unknown_shape {};
template <class T>
struct shape_of<T, std::void_t<decltype(&T::operator())>> : shape_of_operator<decltype(&T::operator())> {};
template <class R, class... A>
struct shape_of<R (*)(A...), void> : shape<R, A...> {};
template <class R, class... A>
struct shape_of<R (*)(A...) noexcept, void> : shape<R, A...> {};

// Has a class an operator(), however many? One more of another base makes the name ambiguous then.
struct one_more {
    void operator()();
};
template <class T>
struct with_one_more : T, one_more {};
template <class T, class = void>
struct has_operator : std::true_type {};
template <class T>
struct has_operator<T, std::void_t<decltype(&with_one_more<T>::operator())>> : std::false_type {};

template <class T>
constexpr bool is_called() {
    if constexpr (std::is_class_v<T> && !std::is_final_v<T>) return has_operator<T>::value;
    return std::is_class_v<T> || shape_of<T>::is_known;
}

template <class Parameters>
struct takes_the_task : std::false_type {};
template <class... A>
struct takes_the_task<std::tuple<task &, A...>> : std::true_type {
    using arguments = std::tuple<std::decay_t<A>...>;
    static constexpr bool by_value = ((!std::is_lvalue_reference_v<A> || std::is_const_v<std::remove_reference_t<A>>) && ...);
    static constexpr bool readable = (has_decode<std::decay_t<A>>::value && ...);
};

template <class R>
constexpr bool is_result = std::is_void_v<R> || has_encode<std::decay_t<R>>::value;

// What a handler of a function<R(A...)> must be.
template <class Callable, class R, class... A>
constexpr bool check_typed_handler() {
    using told = shape_of<Callable>;
    static_assert(is_called<Callable>(), "stent: a handler must be callable: a function, or an object with an operator()");
    static_assert(told::is_const, "stent: a handler is called by several threads at once: leave `mutable` out, or make its operator() const");
    constexpr bool takes = std::is_invocable_v<const Callable &, task &, A...>;
    if constexpr (told::is_known) {
        constexpr std::size_t count = std::tuple_size_v<typename told::parameters>;
        static_assert(count <= sizeof...(A) + 1, "stent: the handler has too many parameters: it takes `stent::task &` and what the function is declared to take");
        static_assert(count >= sizeof...(A) + 1, "stent: the handler has too few parameters: it takes `stent::task &` and what the function is declared to take");
        static_assert(takes || !told::is_const || count != sizeof...(A) + 1, "stent: the handler does not take what the function is declared to take, after `stent::task &`");
    } else {
        static_assert(takes || !is_called<Callable>(), "stent: the handler does not take what the function is declared to take, after `stent::task &`");
    }
    if constexpr (takes) {
        using given = std::invoke_result_t<const Callable &, task &, A...>;
        constexpr bool gives = std::is_void_v<R> ? std::is_void_v<given> : std::is_convertible_v<given, R>;
        static_assert(gives, "stent: the handler gives another type than the function is declared to give");
        return gives;
    }
    return false;
}

// Whether a callable can be a handler. When it can't, one sentence says why, and nothing else.
template <class Callable>
constexpr bool check_handler() {
    using told = shape_of<Callable>;
    static_assert(is_called<Callable>(), "stent: a handler must be callable: a function, or an object with an operator()");
    static_assert(!is_called<Callable>() || told::is_known,
                  "stent: a handler must have one operator() that is no template: a lambda without `auto` parameters");
    if constexpr (told::is_known) {
        using takes = takes_the_task<typename told::parameters>;
        static_assert(told::is_const, "stent: a handler is called by several threads at once: leave `mutable` out, or make its operator() const");
        static_assert(takes::value, "stent: a handler's first parameter must be `stent::task &`");
        if constexpr (takes::value) {
            static_assert(takes::by_value, "stent: a handler takes its arguments by value or by const reference");
            static_assert(takes::readable || !takes::by_value,
                          "stent: an argument of the handler can't be read from JSON: specialize stent::codec for its type");
            static_assert(is_result<typename told::result>,
                          "stent: the result of the handler can't be written as JSON: specialize stent::codec for its type");
            return told::is_const && takes::by_value && takes::readable && is_result<typename told::result>;
        }
    }
    return false;
}

}  // namespace detail

}  // namespace stent

#endif
