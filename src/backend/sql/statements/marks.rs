//! Marks: what a transaction leaves of itself, so that it is known again when the answer to its commit was lost.

statements! {
    /// Changes one row, or none where this transaction is recorded already.
    MARK_PUT "mark_put" "mark a transaction"
        with (token: Id, expires_at: Time)
        sqlite needs not "a commit to a file is answered as long as the process lives";

    /// At the end of a transaction, if it has written something.
    MARK_IF_WRITTEN "mark_if_written" "mark a transaction"
        with (token: Id, expires_at: Time)
        sqlite needs not "a commit to a file is answered as long as the process lives";

    MARKS_EXPIRE "marks_expire" "delete old marks"
        with (now: Time, limit: Int)
        sqlite needs not "it leaves no marks";
}
