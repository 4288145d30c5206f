//! Dead letters.

statements! {
    DEAD_LETTERS_PUT "dead_letters_put" "write dead letters"
        rows (task_id: Id, execution_id: Id, function: Text, task: Bytes, reason: Text) with (now: Time);

    DEAD_LETTER_PUT "dead_letter_put" "write a dead letter"
        with (task_id: Id, execution_id: Id, function: Text, task: Bytes, reason: Text, now: Time);

    /// Newest first.
    DEAD_LETTERS_LIST "dead_letters_list" "list dead letters"
        with (execution_id: Id, function: Text, limit: Int, offset: Int)
        gives (task: Bytes, reason: Text, moved_at: Time);

    DEAD_LETTER_GET "dead_letter_get" "read a dead letter"
        with (task_id: Id, execution_id: Id, function: Text, limit: Int, offset: Int)
        gives (task: Bytes, reason: Text, moved_at: Time);

    DEAD_LETTER_DELETE "dead_letter_delete" "delete a dead letter" with (task_id: Id);

    DEAD_LETTERS_DELETE "dead_letters_delete" "delete dead letters" rows (task_id: Id);

    DEAD_LETTERS_TAKE_BACK "dead_letters_take_back" "take dead letters back" rows (task_id: Id);
}
