"""What a run's database is made of, and how that of an earlier version becomes it."""

import socket
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import psutil

from engine.errors import BadInput
from engine.spec import Study
from engine.store import proof

FORMAT = 2
SET_FACT = "INSERT OR REPLACE INTO facts VALUES (?, ?)"
_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE events (
    id INTEGER PRIMARY KEY, time REAL NOT NULL, event TEXT NOT NULL, digest TEXT NOT NULL DEFAULT ''
);
CREATE TABLE curves (
    key TEXT NOT NULL, iteration INTEGER NOT NULL, train_loss REAL, validation_loss REAL, validation_accuracy REAL,
    digest TEXT NOT NULL DEFAULT '', PRIMARY KEY (key, iteration)
) WITHOUT ROWID;
CREATE TABLE progress (one INTEGER PRIMARY KEY CHECK (one = 1), time REAL NOT NULL, progress TEXT NOT NULL);
CREATE TABLE request (one INTEGER PRIMARY KEY CHECK (one = 1), request TEXT NOT NULL);
"""


def new_database(path: Path, study: Study, created: float) -> None:
    """The database of a run of `study`, created so many seconds after the epoch, in which nothing has happened."""
    facts = {"format": str(FORMAT), "created": repr(created), "study": study.name, "hash": study.hash}
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # Not every network's file system can: then SQLite stays with what it does by itself.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_SCHEMA)
        connection.executemany(SET_FACT, facts.items())
        proof.prove(connection)


def migrate(connection: sqlite3.Connection, database: Path) -> None:
    """Format 1, which had no digests, becomes 2; a copy of the database is kept beside it.

    Raises BadInput while the earlier version is at work on it.
    """
    copy = database.with_name(f"{database.name}.format-1")
    connection.execute("BEGIN IMMEDIATE")
    try:
        facts = dict(connection.execute("SELECT name, value FROM facts"))
        if facts["format"] == "1":
            if _at_work(facts):
                raise BadInput(f"at work in process {facts['pid']} of an earlier version; allowed: once that has ended")
            with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
                source.backup(target)
            for table in ("events", "curves"):
                connection.execute(f"ALTER TABLE {table} ADD COLUMN digest TEXT NOT NULL DEFAULT ''")
            connection.execute("UPDATE facts SET value = '2' WHERE name = 'format'")
            proof.prove(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _at_work(facts: dict[str, str]) -> bool:
    """An earlier version told when a process began in another way: any process of its number counts."""
    if facts.get("host") != socket.gethostname():
        return False
    try:
        return psutil.pid_exists(int(facts["pid"]))
    except (KeyError, ValueError, OverflowError):
        return False
