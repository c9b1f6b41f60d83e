-- What plugins asked of models that they were granted, run by run; and what served models answered, so that none is asked twice.

CREATE TABLE model_use (
    run INTEGER NOT NULL REFERENCES run (id),
    model TEXT NOT NULL,                    -- as the experiment, or its server, names it
    place TEXT NOT NULL,                    -- device, or served
    server TEXT NOT NULL,                   -- the address; empty on a device
    calls INTEGER NOT NULL,
    items INTEGER NOT NULL,
    cache_hits INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    retries INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    milliseconds INTEGER NOT NULL,
    time_out INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    malformed INTEGER NOT NULL,
    over_budget INTEGER NOT NULL,
    not_supported INTEGER NOT NULL,
    too_large INTEGER NOT NULL,
    PRIMARY KEY (run, model, place, server)
) STRICT, WITHOUT ROWID;

-- SHA-256 of who was asked what, and the answer. Not part of the record's interface.
CREATE TABLE model_answer (
    key BLOB PRIMARY KEY,
    answer BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE VIEW model_uses AS
SELECT run, model, place, server, calls, items, cache_hits, requests, retries, prompt_tokens, completion_tokens, milliseconds,
    time_out, refused, malformed, over_budget, not_supported, too_large
FROM model_use;
