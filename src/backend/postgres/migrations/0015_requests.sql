-- What was asked for in plain SQL, in transactions of the askers' own; whoever sweeps carries it out, in order.
CREATE TABLE requests (
    sequence     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    execution_id uuid NOT NULL,
    created_at   timestamptz NOT NULL,
    -- signal, cancel
    kind         text NOT NULL,
    name         text,
    id           text,
    reason       text,
    payload      bytea
);
CREATE INDEX requests_by_execution ON requests (execution_id);
