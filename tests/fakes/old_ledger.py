"""Ledgers as version 0.1 of this program wrote them: its statements, kept as they were."""

from __future__ import annotations

import sqlite3
from pathlib import Path

# The n-th entry made version n of the file.
STATEMENTS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE frames (
            key TEXT PRIMARY KEY, task_id INTEGER NOT NULL, frame INTEGER NOT NULL,
            sha256 TEXT NOT NULL, suffix TEXT NOT NULL, width INTEGER NOT NULL,
            height INTEGER NOT NULL, perceptual TEXT NOT NULL, problem TEXT NOT NULL)""",
        """CREATE TABLE jobs_used (
            job_id INTEGER PRIMARY KEY, updated_date TEXT NOT NULL, state TEXT NOT NULL,
            fingerprint TEXT NOT NULL)""",
        """CREATE TABLE job_looks (
            job_id INTEGER PRIMARY KEY, updated_date TEXT NOT NULL, touched INTEGER NOT NULL)""",
        """CREATE TABLE selections (
            round INTEGER NOT NULL, rank INTEGER NOT NULL, task_id INTEGER NOT NULL,
            frame INTEGER NOT NULL, score REAL, arm TEXT NOT NULL, reason TEXT NOT NULL,
            weight REAL, PRIMARY KEY (round, rank))""",
        """CREATE TABLE provenance (
            task_id INTEGER NOT NULL, frame INTEGER NOT NULL, source_task INTEGER NOT NULL,
            source_frame INTEGER NOT NULL, round INTEGER NOT NULL, rank INTEGER NOT NULL,
            score REAL, arm TEXT NOT NULL, reason TEXT NOT NULL, weight REAL,
            PRIMARY KEY (task_id, frame))""",
        """CREATE TABLE proposals (
            round INTEGER NOT NULL, job_id INTEGER NOT NULL, frame INTEGER NOT NULL,
            place INTEGER NOT NULL, label_id INTEGER NOT NULL, label TEXT NOT NULL,
            shape_type TEXT NOT NULL, points TEXT NOT NULL, score REAL NOT NULL,
            model TEXT NOT NULL, shape_id INTEGER, source TEXT NOT NULL,
            PRIMARY KEY (round, job_id, frame, place))""",
        """CREATE TABLE preannotated (
            job_id INTEGER PRIMARY KEY, round INTEGER NOT NULL, model TEXT NOT NULL,
            problem TEXT NOT NULL)""",
        """CREATE TABLE corrections (
            round INTEGER NOT NULL, job_id INTEGER NOT NULL, frame INTEGER NOT NULL,
            place INTEGER NOT NULL, outcome TEXT NOT NULL, proposed_label TEXT NOT NULL,
            final_label TEXT NOT NULL, iou REAL, score REAL, model TEXT NOT NULL,
            PRIMARY KEY (job_id, frame, place))""",
        """CREATE TABLE rounds (
            number INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, state TEXT NOT NULL,
            waits_for TEXT NOT NULL, started TEXT NOT NULL, ended TEXT NOT NULL,
            decision TEXT NOT NULL, reasons TEXT NOT NULL, figures TEXT NOT NULL)""",
        """CREATE TABLE decisions (
            round INTEGER PRIMARY KEY, champion TEXT NOT NULL, challenger TEXT NOT NULL,
            promoted INTEGER NOT NULL, reasons TEXT NOT NULL, figures TEXT NOT NULL,
            decided TEXT NOT NULL)""",
        """CREATE TABLE holdout (
            sha256 TEXT PRIMARY KEY, role TEXT NOT NULL, "group" TEXT NOT NULL, rule TEXT NOT NULL,
            since TEXT NOT NULL)""",
        "CREATE TABLE choices (round INTEGER PRIMARY KEY, about TEXT NOT NULL)",
        """CREATE TABLE ranked_jobs (
            round INTEGER NOT NULL, rank INTEGER NOT NULL, job_id INTEGER NOT NULL,
            task_id INTEGER NOT NULL, frames TEXT NOT NULL, scores TEXT NOT NULL,
            reason TEXT NOT NULL, PRIMARY KEY (round, rank))""",
        """CREATE TABLE labels (
            label_id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL)""",
        "CREATE TABLE identity (id TEXT NOT NULL)",
        "INSERT INTO identity VALUES (lower(hex(randomblob(4))))",
        "CREATE INDEX provenance_by_round ON provenance (round)",
        "CREATE INDEX proposals_by_job ON proposals (job_id)",
    ),
    (
        """CREATE TABLE annotated (
            job_id INTEGER NOT NULL, frame INTEGER NOT NULL, model TEXT NOT NULL,
            reach TEXT NOT NULL, objects INTEGER NOT NULL, pending TEXT NOT NULL,
            PRIMARY KEY (job_id, frame, model))""",
    ),
    (
        """CREATE TABLE judgements (
            model TEXT NOT NULL, source TEXT NOT NULL, round INTEGER NOT NULL,
            frames INTEGER NOT NULL, objects INTEGER NOT NULL, answers INTEGER NOT NULL,
            threshold REAL NOT NULL, file TEXT NOT NULL, crops TEXT NOT NULL,
            recorded TEXT NOT NULL, PRIMARY KEY (model, source))""",
        """CREATE TABLE pools (
            model TEXT PRIMARY KEY, round INTEGER NOT NULL, frames INTEGER NOT NULL,
            file TEXT NOT NULL, crops TEXT NOT NULL, recorded TEXT NOT NULL)""",
        """CREATE TABLE requests (
            key TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE, who TEXT NOT NULL,
            name TEXT NOT NULL, source TEXT NOT NULL, model TEXT NOT NULL, asked TEXT NOT NULL,
            request TEXT NOT NULL, task_id INTEGER, done TEXT NOT NULL, outcome TEXT NOT NULL)""",
    ),
)


def write_old_ledger(path: Path, version: int) -> None:
    """Write a file of a version, with a row in every table that it has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    for statements in STATEMENTS[:version]:
        for statement in statements:
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {version}")
    db.execute("UPDATE identity SET id = '0a1b2c3d'")
    for query, *rows in ROWS[: OF_VERSION[version - 1]]:
        db.executemany(query, rows)
    db.close()


ROWS = (
    (
        "INSERT INTO frames VALUES (?,?,?,?,?,?,?,?,?)",
        ("1/0", 1, 0, "a" * 64, ".jpg", 640, 480, "0" * 64, ""),
        ("1/10", 1, 10, "", "", 0, 0, "", "the file is no image: ü\u2028"),
        ("1/2", 1, 2, "b" * 64, ".png", 5, 6, "f" * 64, ""),
    ),
    ("INSERT INTO jobs_used VALUES (?,?,?,?)", (7, "2026-01-01", "completed", "f00d")),
    ("INSERT INTO job_looks VALUES (?,?,?)", (8, "2026", 1), (9, "2026", 0)),
    (
        "INSERT INTO selections VALUES (?,?,?,?,?,?,?,?)",
        (3, 1, 1, 0, 0.75, "strategy", "unsure of a cell", None),
        (3, 2, 1, 4, None, "control", "drawn at random", 12.5),
    ),
    (
        "INSERT INTO provenance VALUES (?,?,?,?,?,?,?,?,?,?)",
        (9, 0, 1, 0, 3, 1, 0.1 + 0.2, "strategy", "unsure", None),
    ),
    (
        "INSERT INTO proposals VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
        (3, 7, 0, 0, 5, "cell", "rectangle", "[1.0, 2.5, 3.0, 4.0]", 0.8, "m1", 1 << 40, "auto"),
        (-1, 7, 0, 0, 5, "cell", "mask", "[]", 0.5, "m1", None, "auto"),
    ),
    ("INSERT INTO preannotated VALUES (?,?,?,?)", (7, 3, "m1", "")),
    (
        "INSERT INTO corrections VALUES (?,?,?,?,?,?,?,?,?,?)",
        (3, 7, 0, 0, "nudged", "cell", "cell", 0.8, None, "m1"),
    ),
    (
        "INSERT INTO rounds VALUES (?,?,?,?,?,?,?,?,?)",
        (3, 12, "done", "", "2026-01-01", "2026-01-02", "", '["first"]', '{"pool": 4, "ap": NaN}'),
    ),
    (
        "INSERT INTO decisions VALUES (?,?,?,?,?,?,?)",
        (3, "", "m1", 1, '["nothing served"]', '{"ap": 0.4}', "2026-01-01"),
    ),
    ("INSERT INTO holdout VALUES (?,?,?,?,?)", ("a" * 64, "train", "g", "rule", "2026")),
    ("INSERT INTO choices VALUES (?,?)", (3, '{"strategy": "entropy"}')),
    (
        "INSERT INTO ranked_jobs VALUES (?,?,?,?,?,?,?)",
        (3, 1, 7, 9, "[0, 4]", "[0.75, null]", "ranks 1-2"),
    ),
    ("INSERT INTO labels VALUES (?,?,?)", (1, "cat", "rectangle")),
    ("INSERT INTO annotated VALUES (?,?,?,?,?,?)", (3, 0, "m", '{"7": 0.5}', 1, '[{"frame": 0}]')),
    (
        "INSERT INTO judgements VALUES (?,?,?,?,?,?,?,?,?,?)",
        ("m", "holdout", 1, 2, 3, 4, 0.5, "f", "c", "2026"),
    ),
    ("INSERT INTO pools VALUES (?,?,?,?,?,?)", ("m", 1, 2, "f", "c", "2026")),
    (
        "INSERT INTO requests VALUES (?,?,?,?,?,?,?,?,?,?,?)",
        ("k", 1, "mona", "Cats", "class=cat", "m", "now", '{"frames": ["1/0"]}', None, "", "{}"),
    ),
)
OF_VERSION = (14, 15, 18)  # tables with rows, by version
