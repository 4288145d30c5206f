-- What is known of workers' deaths: where its body began, at most so many bodies run at once (NULL: it has not begun, as
-- far as is known); where a suspect runs, at most so many may; and how many workers died after its body had begun.
ALTER TABLE tasks ADD COLUMN begun bigint;
ALTER TABLE tasks ADD COLUMN company bigint;
ALTER TABLE tasks ADD COLUMN deaths bigint NOT NULL DEFAULT 0;
