//! Tokens ("marks") that a transaction writes so that it can be recognised if the answer to its commit was lost.

statements! {
    /// Inserts a token. Changes no row if it exists, which means that the transaction is recorded already.
    MARK_PUT "mark_put" "mark a transaction"
        with (token: Id, expires_at: Time)
        sqlite needs not "a commit to a file is answered as long as the process lives";

    /// Inserts a token if the transaction has written anything.
    MARK_IF_WRITTEN "mark_if_written" "mark a transaction"
        with (token: Id, expires_at: Time)
        sqlite needs not "a commit to a file is answered as long as the process lives";

    MARKS_EXPIRE "marks_expire" "delete old marks"
        with (now: Time, limit: Int)
        sqlite needs not "it leaves no marks";
}
