// For tests of workflows: a store in memory and a worker on it, in one line.
//
//   stent::testing::host here([](stent::executor &executor) { executor.handle(greet, say_hello); });
//   CHECK(here.run(greet("ada")) == "hello, ada");
#ifndef STENT_TESTING_HPP
#define STENT_TESTING_HPP

#include "executor.hpp"

namespace stent::testing {

// A test that has not come to its end by then never will.
inline constexpr std::chrono::seconds patience{30};

// Its destructor waits until no handler runs any more; nothing is left of the store.
class host {
public:
    template <class Register>
    explicit host(const Register &register_functions, const worker_options &options = {}) : executor(store) {
        register_functions(executor);
        worker_.emplace(executor.start_worker(options));
        worker_->wait("ready", patience);
    }

    // Runs a function from its dispatch to its result.
    template <class R>
    R run(const request<R> &made, const dispatch_options &options = {}) {
        return executor.dispatch(made, options).result(patience);
    }

    stent::worker &worker() { return *worker_; }

private:
    backend store{":memory:"};

public:
    stent::executor executor;

private:
    std::optional<stent::worker> worker_;
};

}  // namespace stent::testing

#endif
