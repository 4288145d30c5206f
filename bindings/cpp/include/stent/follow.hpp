// Executions that are followed while they run: ranges over what changes, and over the lines of progress.
#ifndef STENT_FOLLOW_HPP
#define STENT_FOLLOW_HPP

#include <iterator>

#include "executor.hpp"

namespace stent {

// JSON values that come one after the other; each step to the next one waits for it. To be gone through once:
//
//   for (const stent::json &line : stent::progress(executor, id)) { … }
class sequence {
public:
    using source = std::function<std::optional<json>()>;

    class iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = json;
        using difference_type = std::ptrdiff_t;
        using pointer = const json *;
        using reference = const json &;

        iterator() = default;
        explicit iterator(source *from) : from_(from) { ++*this; }

        const json &operator*() const { return *value_; }
        const json *operator->() const { return &*value_; }
        iterator &operator++() {
            value_ = (*from_)();
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const iterator &a, const iterator &b) { return !a.value_ && !b.value_; }
        friend bool operator!=(const iterator &a, const iterator &b) { return !(a == b); }

    private:
        source *from_ = nullptr;
        std::optional<json> value_;
    };

    explicit sequence(source from) : from_(std::move(from)) {}

    iterator begin() { return iterator(&from_); }
    iterator end() { return {}; }

private:
    source from_;
};

namespace detail {

// An execution as it is now, and again whenever it has changed, until it is over or `is_left` says so.
inline sequence::source changes(executor &of, std::string id, std::function<bool()> is_left) {
    return [&of, id = std::move(id), is_left = std::move(is_left), last = std::string(), is_over = false]() mutable -> std::optional<json> {
        while (!is_left()) {
            json now = of.state(id);
            if (now.text() != last) {
                last = now.text();
                return now;
            }
            if (is_over) break;
            // Its end is told at once, all else when it is looked at again.
            is_over = waited(of.handle(), id);
        }
        return std::nullopt;
    };
}

inline sequence::source lines(sequence::source changes) {
    return [changes = std::move(changes), ready = std::vector<json>(), next = std::size_t(0)]() mutable -> std::optional<json> {
        while (next >= ready.size()) {
            const std::optional<json> changed = changes();
            if (!changed) return std::nullopt;
            ready = (*changed)["progress"].elements();
        }
        return ready[next++];
    };
}

}  // namespace detail

// An execution as it is now, and again whenever it has changed (its state, progress, counters, state values), the last time
// when it is over. The executor must outlive it.
inline sequence watch(executor &of, const std::string &id) {
    return sequence(detail::changes(of, id, [] { return false; }));
}

// Each line of an execution's progress, those that are there and those that come, until it is over.
inline sequence progress(executor &of, const std::string &id) {
    return sequence(detail::lines(detail::changes(of, id, [] { return false; })));
}

#ifdef STENT_STOP_TOKEN
// The same, which end when a stop is asked for as well.
inline sequence watch(executor &of, const std::string &id, std::stop_token stop) {
    return sequence(detail::changes(of, id, [stop] { return stop.stop_requested(); }));
}

inline sequence progress(executor &of, const std::string &id, std::stop_token stop) {
    return sequence(detail::lines(detail::changes(of, id, [stop] { return stop.stop_requested(); })));
}
#endif

}  // namespace stent

#endif
