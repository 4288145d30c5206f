//! What was asked for in plain SQL.

statements! {
    /// In the order in which it was asked for.
    REQUESTS_OLDEST "requests_oldest" "find what was asked for in SQL" with (limit: Int) gives (
        sequence: Int, execution_id: Id, kind: Text, name: Text, id: Text, reason: Text, payload: Bytes,
    ) sqlite needs not "nobody asks in SQL: there is no other transaction to be kept from waiting";

    REQUESTS_DONE "requests_done" "note that what was asked for is done" with (sequences: Ints)
        sqlite needs not "nobody asks in SQL";

    REQUESTS_OF "requests_of" "look whether something is asked for" with (execution_id: Id) gives (sequence: Int)
        sqlite needs not "nobody asks in SQL";
}
