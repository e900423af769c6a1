"""retrieval.database_rows: what a row puts side by side is what stands in the file."""

from pathlib import Path

import apsw

from retrieval.database_rows import MAGIC, SCHEMA, Layout

_TABLES = """
CREATE TABLE people (number INTEGER PRIMARY KEY, name TEXT UNIQUE, age INTEGER, town TEXT, height, photo BLOB);
CREATE INDEX by_town ON people (town, name);
CREATE TABLE words (count INTEGER, word TEXT, tongue TEXT, said, PRIMARY KEY (tongue, word)) WITHOUT ROWID;
CREATE INDEX by_count ON words (count, word);
"""


def stretches(connection: apsw.Connection, table: str) -> list[bytes]:
    layout = Layout(connection.execute, table)
    rows = connection.execute(f"SELECT {layout.columns} FROM {table}").fetchall()
    return [stretch for row in rows for stretch in layout.stretches(row)]


def test_every_stretch_stands_in_the_file_as_it_is_spelled(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "a.db"))
    connection.execute(_TABLES)
    for number, age in enumerate((0, 1, None, -1, 127, 128, -32769, 1 << 20, 1 << 31, -(1 << 40), (1 << 63) - 1)):
        person = (f"Žofie-{number}", age, "Plzeň", 1.5 + number, bytes((7, number)))
        connection.execute("INSERT INTO people (name, age, town, height, photo) VALUES (?, ?, ?, ?, ?)", person)
        connection.execute("INSERT INTO words VALUES (?, ?, 'cs', ?)", (age, f"slovo-{number}", number * 1000))

    told = [MAGIC] + [stretch for table in (SCHEMA, "people", "words") for stretch in stretches(connection, table)]

    connection.close()
    written = (tmp_path / "a.db").read_bytes()
    assert [stretch for stretch in told if stretch not in written] == []
    assert any("Žofie-0Plzeň".encode() in stretch for stretch in told)  # in the table
    assert any("PlzeňŽofie-0".encode() in stretch for stretch in told)  # in the index
