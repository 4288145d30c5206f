// Steps that run in a transaction of the handler's own: their rows and their records are there together, once. By libpq, and
// by a SQLite of the program's own.
#include <libpq-fe.h>
#include <sqlite3.h>

#include "house.hpp"

using namespace house;

namespace {

using parameters = std::vector<std::string>;

// As docs/sql.md shows it.

void execute(PGconn *bank, const std::string &sql, const std::vector<std::string> &parameters) {
    std::vector<const char *> values;
    for (const std::string &each : parameters) values.push_back(each.c_str());
    const int count = static_cast<int>(values.size());
    const std::unique_ptr<PGresult, decltype(&PQclear)> answer(
        PQexecParams(bank, sql.c_str(), count, nullptr, values.data(), nullptr, nullptr, 0), &PQclear);
    const auto status = PQresultStatus(answer.get());
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) throw std::runtime_error(PQerrorMessage(bank));
}

void execute(sqlite3 *bank, const std::string &sql, const std::vector<std::string> &parameters) {
    sqlite3_stmt *prepared = nullptr;
    int code = sqlite3_prepare_v2(bank, sql.c_str(), -1, &prepared, nullptr);
    const std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)> statement(prepared, &sqlite3_finalize);
    for (std::size_t i = 0; code == SQLITE_OK && i < parameters.size(); ++i)
        code = sqlite3_bind_text(prepared, static_cast<int>(i + 1), parameters[i].c_str(), -1, SQLITE_TRANSIENT);
    if (code == SQLITE_OK) code = SQLITE_ROW;
    while (code == SQLITE_ROW) code = sqlite3_step(prepared);
    if (code != SQLITE_DONE) throw std::runtime_error(sqlite3_errmsg(bank));
}

// A connection of the program's own, and its table.
class bank {
public:
    explicit bank(const std::string &url) {
        const std::size_t at = url.find("schema=");
        if (at != std::string::npos) {
            schema_ = url.substr(at + 7, url.find('&', at) - at - 7);
            postgres_.reset(PQconnectdb(url.substr(0, at - 1).c_str()));
            run("SET search_path TO " + schema_, {});
            run("SET lock_timeout TO '20s'", {});
            return;
        }
        // The extension is in the library that the program has linked.
        sqlite3_auto_extension(reinterpret_cast<void (*)()>(stent_sqlite_init));
        sqlite3 *opened = nullptr;
        const int code = sqlite3_open(url.c_str(), &opened);
        sqlite_.reset(opened);
        if (code != SQLITE_OK) throw std::runtime_error(sqlite3_errmsg(opened));
        sqlite3_busy_timeout(opened, 20'000);
    }

    void run(const std::string &sql, const parameters &values) {
        postgres_ ? execute(postgres_.get(), sql, values) : execute(sqlite_.get(), sql, values);
        if (sql == "COMMIT") after_commit();
    }

    // Is what tasks' transactions run statements by.
    auto runs() {
        return [this](const std::string &sql, const parameters &values) { run(sql, values); };
    }

    int number(const std::string &sql) {
        if (postgres_) {
            const std::unique_ptr<PGresult, decltype(&PQclear)> answer(PQexec(postgres_.get(), sql.c_str()), &PQclear);
            if (PQntuples(answer.get()) != 1) throw std::runtime_error(PQerrorMessage(postgres_.get()));
            return std::stoi(PQgetvalue(answer.get(), 0, 0));
        }
        sqlite3_stmt *prepared = nullptr;
        sqlite3_prepare_v2(sqlite_.get(), sql.c_str(), -1, &prepared, nullptr);
        const std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)> statement(prepared, &sqlite3_finalize);
        if (sqlite3_step(prepared) != SQLITE_ROW) throw std::runtime_error(sqlite3_errmsg(sqlite_.get()));
        const int value = sqlite3_column_int(prepared, 0);
        // To its end: what it writes is committed then.
        while (sqlite3_step(prepared) == SQLITE_ROW) continue;
        return value;
    }

    int accounts() { return number("SELECT count(*) FROM accounts"); }

    stent::transaction_options options() const {
        return postgres_ ? stent::transaction_options().schema(schema_) : stent::transaction_options().sqlite();
    }

    bool is_postgres() const { return postgres_ != nullptr; }

    // What comes between a commit that was carried out and the one who has asked for it.
    std::function<void()> after_commit = [] {};

private:
    std::string schema_;
    std::unique_ptr<PGconn, void (*)(PGconn *)> postgres_{nullptr, &PQfinish};
    std::unique_ptr<sqlite3, int (*)(sqlite3 *)> sqlite_{nullptr, &sqlite3_close};
};

// Adds an account, and waits after it: so the handler runs twice.
template <class Then>
int adds(task &task, bank &bank, const stent::transaction_options &options, const Then &then) {
    const int number = task.transaction("open", bank.runs(), [&] {
        bank.run("INSERT INTO accounts VALUES (7, 100)", {});
        then();
        return 7;
    }, options);
    task.sleep(10ms);
    return number;
}

void fine() {}

// A store with a table of the program's own beside it.
template <class Store>
struct shop : place<Store> {
    bank own{this->url};

    shop() { own.run("CREATE TABLE accounts (number INTEGER PRIMARY KEY, balance INTEGER)", {}); }

    // Takes over soon what another one has left.
    stent::worker impatient() {
        return this->worker(stent::worker_options().lease_duration(1s).poll_interval(20ms).poll_interval_max(50ms));
    }

    int result(const std::string &function) {
        return this->executor.template result<int>(this->executor.dispatch(function), patience);
    }
};

}  // namespace

TEST_CASE_TEMPLATE("a step in the handler's own transaction: the page's function", Store, sqlite, postgres) {
    shop<Store> here;
    here.own.run("INSERT INTO accounts VALUES (7, 100)", {});
    const std::string url = here.url;
    here.executor.handle("withdraw", [url](task &task) {
        bank bank(url);
        const auto run = bank.runs();
        const auto options = bank.options();
        const int account = 7, amount = 30;

        const int left = task.transaction("book", run, [&] {
            run("UPDATE accounts SET balance = balance - " + std::to_string(amount) + " WHERE number = 7", {});
            return bank.number("SELECT balance FROM accounts WHERE number = " + std::to_string(account));
        }, options);
        task.sleep(10ms);
        return left;
    });
    const auto worker = here.impatient();
    CHECK(here.result("withdraw") == 70);
    CHECK(here.own.number("SELECT balance FROM accounts") == 70);
}

TEST_CASE_TEMPLATE("a step in the handler's own transaction: a replay finds the record and runs nothing", Store, sqlite, postgres) {
    shop<Store> here;
    std::atomic<int> runs{0}, bodies{0}, said{0};
    here.executor.handle("adds", [&](task &task) {
        ++runs;
        bank bank(here.url);
        const int number = adds(task, bank, bank.options(), [&] { ++bodies; });
        // One without a result, too.
        task.transaction("nothing", bank.runs(), [&] { ++said; }, bank.options().key("nothing"));
        task.sleep(1ms);
        return number;
    });
    const auto worker = here.impatient();
    CHECK(here.result("adds") == 7);
    CHECK(here.own.accounts() == 1);
    CHECK(bodies == 1);
    CHECK(said == 1);
    CHECK(runs > 2);
}

TEST_CASE_TEMPLATE("a step in the handler's own transaction: what is thrown rolls back, and is the step's failure", Store, sqlite, postgres) {
    shop<Store> here;
    const auto right = here.own.options();
    // Another schema; and for SQLite without what says that it is one.
    const auto wrong = here.own.is_postgres() ? stent::transaction_options().schema("else\"where") : stent::transaction_options();
    std::atomic<int> told{0};
    const auto handle = [&](const std::string &name, const stent::transaction_options &options, void (*then)()) {
        here.executor.handle(name, [&, options, then](task &task) {
            bank bank(here.url);
            try {
                return adds(task, bank, options, then);
            } catch (const stent::failed &) {
                // It is recorded: a run after this one hears of the same.
                ++told;
                task.sleep(10ms);
                throw;
            }
        });
    };
    handle("refuses", right, [] { throw stent::failure("Refused", "no"); });
    handle("fails", right, [] { throw std::logic_error("no"); });
    handle("elsewhere", wrong, fine);
    const auto worker = here.impatient();
    for (const auto &[function, type] : std::map<std::string, std::string>{
             {"refuses", "Refused"}, {"fails", "std::logic_error"}, {"elsewhere", "std::runtime_error"}}) {
        told = 0;
        CHECK(failure_of(here, function).type() == type);
        CHECK(here.own.accounts() == 0);
        CHECK(told == 2);
    }
}

TEST_CASE_TEMPLATE("a step in the handler's own transaction: a failed one is tried again where the policy retries children", Store, sqlite, postgres) {
    shop<Store> here;
    std::atomic<int> bodies{0};
    here.executor.handle("adds", [&](task &task) {
        bank bank(here.url);
        return adds(task, bank, bank.options(), [&] { if (++bodies == 1) throw std::runtime_error("a deadlock"); });
    }, stent::function_options().retry_policy(stent::retry_policy().max_attempts(3).initial_delay(1ms).retry_children(true)));
    const auto worker = here.impatient();
    CHECK(here.result("adds") == 7);
    CHECK(here.own.accounts() == 1);
    CHECK(bodies == 2);
}

TEST_CASE_TEMPLATE("a step in the handler's own transaction: what the database refuses for others' sake is begun again", Store, sqlite, postgres) {
    shop<Store> here;
    here.own.run("INSERT INTO accounts VALUES (7, 100)", {});
    const auto handle = [&](const std::string &name, const stent::transaction_options &options) {
        here.executor.handle(name, [&, options](task &task) {
            bank bank(here.url), other(here.url);
            const bool is_postgres = bank.is_postgres();
            bank.run(is_postgres ? "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ"
                                 : "PRAGMA busy_timeout = 1", {});
            int begins = 0;
            // Another one is in its way when it is begun for the first time.
            const auto run = [&](const std::string &sql, const parameters &values) {
                const bool is_first = sql.rfind("BEGIN", 0) == 0 && ++begins == 1 && !is_postgres;
                if (is_first) other.run(sql, {});
                try {
                    bank.run(sql, values);
                } catch (const std::exception &) {
                    if (is_first) other.run("ROLLBACK", {});
                    throw;
                }
            };
            return task.transaction("open", run, [&] {
                bank.number("SELECT balance FROM accounts");
                if (is_postgres && begins == 1) other.run("UPDATE accounts SET balance = balance + 1", {});
                bank.run("UPDATE accounts SET balance = balance - 30", {});
                return begins;
            }, options);
        }, stent::function_options().retry_policy(stent::retry_policy().max_attempts(1)));
    };
    handle("again", here.own.options());
    handle("once", here.own.options().attempts(1));
    handle("otherwise", here.own.options().is_conflict([](const std::exception &) { return false; }));
    const auto worker = here.impatient();
    CHECK(here.result("again") == 2);
    const std::string refused = here.own.is_postgres() ? "could not serialize access" : "database is locked";
    for (const std::string function : {"once", "otherwise"})
        CHECK(failure_of(here, function).message().find(refused) != std::string::npos);
    // Of what was refused only the other one's has stayed.
    CHECK(here.own.number("SELECT balance FROM accounts") == (here.own.is_postgres() ? 73 : 70));
}

TEST_CASE_TEMPLATE("a step in the handler's own transaction: a durable call in it is refused, and it rolls back", Store, sqlite, postgres) {
    shop<Store> here;
    // It stays open when the handler has left.
    bank kept(here.url);
    here.executor.handle("adds", [&](task &task) { return adds(task, kept, kept.options(), [&] { task.sleep(1h); }); });
    const auto worker = here.impatient();
    const std::string id = here.executor.dispatch("adds");
    CHECK(here.executor.wait(id, patience).text().find("the transaction of operation 1 is open") != std::string::npos);
    // Who waits for the row, or for the file, waits in vain.
    here.own.run("INSERT INTO accounts VALUES (7, 200)", {});
    CHECK(here.own.number("SELECT balance FROM accounts") == 200);
}

TEST_CASE_TEMPLATE("a step in the handler's own transaction: one that has been ended within is not recorded", Store, sqlite, postgres) {
    shop<Store> here;
    here.executor.handle("adds", [&](task &task) {
        bank bank(here.url);
        return adds(task, bank, bank.options(), [&] { bank.run("ROLLBACK", {}); });
    });
    const auto worker = here.impatient();
    const std::string id = here.executor.dispatch("adds");
    CHECK(here.executor.wait(id, patience).text().find("\"failed\"") != std::string::npos);
    CHECK(here.own.accounts() == 0);
}

TEST_CASE_TEMPLATE("a step in the handler's own transaction: a commit that nobody heard of is found", Store, sqlite, postgres) {
    shop<Store> here;
    std::atomic<int> bodies{0};
    // At once, and not by another attempt.
    here.executor.handle("adds", [&](task &task) {
        bank bank(here.url);
        bank.after_commit = [] { throw std::runtime_error("the connection is lost"); };
        return adds(task, bank, bank.options(), [&] { ++bodies; });
    }, stent::function_options().retry_policy(stent::retry_policy().max_attempts(1)));
    const auto worker = here.impatient();
    CHECK(here.result("adds") == 7);
    CHECK(here.own.accounts() == 1);
    CHECK(bodies == 1);
}

TEST_CASE_TEMPLATE("a step in the handler's own transaction: who has lost the task commits nothing", Store, sqlite, postgres) {
    shop<Store> here;
    std::atomic<bool> lost{false}, told{false};
    here.executor.handle("adds", [&](task &task) {
        bank bank(here.url);
        if (lost.exchange(true)) return adds(task, bank, bank.options(), fine);
        // As another worker's claim leaves it.
        bank.run(std::string("UPDATE tasks SET fence = fence + 1, ") +
                     (bank.is_postgres() ? "lease_expires_at = now()" : "lease_until = 0"), {});
        try {
            return adds(task, bank, bank.options(), fine);
        } catch (const stent::lease_lost &) {
            told = true;
            throw;
        }
    });
    const auto worker = here.impatient();
    CHECK(here.result("adds") == 7);
    CHECK(here.own.accounts() == 1);
    CHECK(told);
}

TEST_CASE_TEMPLATE("a step in the handler's own transaction: what is cancelled commits nothing", Store, sqlite, postgres) {
    shop<Store> here;
    std::atomic<bool> told{false};
    here.executor.handle("adds", [&](task &task) {
        here.executor.cancel(task.execution_id());
        bank bank(here.url);
        try {
            return adds(task, bank, bank.options(), fine);
        } catch (const stent::cancelled &) {
            told = true;
            throw;
        }
    });
    std::string state;
    {
        const auto worker = here.impatient();
        state = here.executor.wait(here.executor.dispatch("adds"), patience)["state"].template get<std::string>();
    }
    CHECK(state == "cancelled");
    CHECK(here.own.accounts() == 0);
    CHECK(told);
}

TEST_CASE_TEMPLATE("a step in the handler's own transaction: what a killed process has committed is done once", Store, sqlite, postgres) {
    // Set for a worker's process: the store, and where it is to be killed.
    const char *const dies = std::getenv("STENT_TEST_STEP_DIES");
    const auto die = [] { kill(getpid(), SIGKILL); };
    if (dies != nullptr) {
        const std::string told = dies, url = told.substr(told.find(' ') + 1);
        stent::backend store(url);
        stent::executor executor(store);
        const bool is_before = told.rfind("before", 0) == 0;
        executor.handle("adds", [&](task &task) {
            bank bank(url);
            bank.after_commit = die;
            return adds(task, bank, bank.options(), [&] { if (is_before) die(); });
        });
        const auto worker = executor.start_worker(stent::worker_options().lease_duration(1s).poll_interval(20ms));
        // Its end comes from within, or it has failed.
        std::this_thread::sleep_for(patience);
        FAIL("it has not been killed");
    }
    for (const std::string place : {"before", "after"}) {
        shop<Store> here;
        const std::string id = here.executor.dispatch("adds");
        const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
        const std::string command = "STENT_TEST_STEP_DIES='" + place + " " + here.url + "' exec '" + self +
                                    "' --test-case='*what a killed process has committed is done once*'";
        CHECK(process("/bin/sh", "-c", command.c_str()).wait() == -SIGKILL);
        CHECK(here.own.accounts() == (place == "after"));
        std::atomic<int> bodies{0};
        here.executor.handle("adds", [&](task &task) {
            bank bank(here.url);
            return adds(task, bank, bank.options(), [&] { ++bodies; });
        });
        const auto worker = here.impatient();
        CHECK(here.executor.template result<int>(id, patience) == 7);
        CHECK(here.own.accounts() == 1);
        CHECK(bodies == (place == "before"));
    }
}
