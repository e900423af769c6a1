"""The single source of truth, in SQLite: documents, chunks, vectors, access and jobs.

`database` is the only module of the project that knows apsw; its neighbours hold the SQL, one subject each,
as functions of an open transaction. Nothing outside this package passes SQL to it.
"""
