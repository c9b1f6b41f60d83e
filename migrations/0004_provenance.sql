-- What a run was computed with and what came of it besides numbers: environments, plugins, artefacts, costs.

CREATE TABLE environment (
    id INTEGER PRIMARY KEY,
    device TEXT NOT NULL,
    device_description TEXT NOT NULL,
    cpu_capability TEXT NOT NULL,
    threads INTEGER NOT NULL,
    libtorch_version TEXT NOT NULL,
    worker_sha256 TEXT NOT NULL,
    mkl_cbwr TEXT NOT NULL,
    UNIQUE (device, device_description, cpu_capability, threads, libtorch_version, worker_sha256, mkl_cbwr)
) STRICT;

-- A run that was resumed has one a attempt.
CREATE TABLE run_environment (
    run INTEGER NOT NULL REFERENCES run (id),
    attempt INTEGER NOT NULL,
    environment INTEGER NOT NULL REFERENCES environment (id),
    PRIMARY KEY (run, attempt)
) STRICT, WITHOUT ROWID;

-- What the plan grants a plugin in a role of a cell.
CREATE TABLE plugin_grant (
    cell INTEGER NOT NULL REFERENCES cell (id),
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    capabilities TEXT NOT NULL,             -- names joined by ', '
    parameters TEXT NOT NULL,               -- JSON, as the plugin was configured
    on_failure TEXT,
    memory_mib INTEGER NOT NULL,
    deadline_ms INTEGER NOT NULL,
    fuel_per_item INTEGER,
    stack_kib INTEGER NOT NULL,
    output_mib INTEGER NOT NULL,
    log_lines INTEGER NOT NULL,
    PRIMARY KEY (cell, role)
) STRICT, WITHOUT ROWID;

-- Measured use, as one instance chain reported it; it may have served several runs.
CREATE TABLE plugin_use (
    id INTEGER PRIMARY KEY,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    wit_version TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    calls INTEGER NOT NULL,
    items INTEGER NOT NULL,
    failed_items INTEGER NOT NULL,
    wall_ns INTEGER NOT NULL,
    fuel INTEGER,
    peak_memory_bytes INTEGER NOT NULL,
    runs INTEGER NOT NULL                   -- how many runs it served
) STRICT;

CREATE TABLE plugin_use_run (
    run INTEGER NOT NULL REFERENCES run (id),
    plugin_use INTEGER NOT NULL REFERENCES plugin_use (id),
    PRIMARY KEY (run, plugin_use)
) STRICT, WITHOUT ROWID;

CREATE TABLE artefact (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    written_at INTEGER NOT NULL,
    removed_at INTEGER                      -- when the lab deleted the file
) STRICT;

CREATE TABLE artefact_run (
    run INTEGER NOT NULL REFERENCES run (id),
    step INTEGER NOT NULL,
    artefact INTEGER NOT NULL REFERENCES artefact (id),
    PRIMARY KEY (run, step, artefact)
) STRICT, WITHOUT ROWID;

CREATE INDEX artefact_run_by_artefact ON artefact_run (artefact);

-- Seconds, bytes, tokens, FLOPs: one row a quantity, so that a new one needs no migration.
CREATE TABLE cost (
    run INTEGER NOT NULL REFERENCES run (id),
    attempt INTEGER NOT NULL,
    quantity TEXT NOT NULL,
    unit TEXT NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (run, attempt, quantity)
) STRICT, WITHOUT ROWID;
