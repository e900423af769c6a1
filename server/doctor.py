"""What is wrong with an installation, in words that a person can act on. Looks, and changes nothing."""

from collections.abc import Iterator
from pathlib import Path
from stat import S_ISGID
from time import time

from hrm_model.errors import CheckpointError
from retrieval.errors import StoreFailed
from server import doctor_network, storage
from server.api_key import LedgerError
from server.audit.chain import AuditError, Broken, Entry, Head, check_next
from server.audit.seal import content_key
from server.audit.tables import MIGRATIONS as AUDIT_SCHEMA
from server.building import model, records, store
from server.database import Unreadable, looking
from server.finding import Check, Finding
from server.ledger import MIGRATIONS as LEDGER_SCHEMA
from server.settings import Settings
from server.settings_reading import SettingsError
from server.signing import KEY_FILE, Signer, SigningKeyError
from server.upkeep import AUDIT, LEDGER

_BUILD_IT = "on x86-64 with AVX2, install again with a C compiler (gcc); elsewhere it does not run"
_MAKE_A_KEY = "hrm-serve keys create --principal user:you --role admin"


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything, one finding at a time."""
    for check in CHECKS:
        yield from check(settings)


def _data_dir(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir
    if not folder.exists():
        yield Finding("data directory", "warning", f"{folder.resolve()} does not exist", "the first start makes it")
        return
    trouble = storage.trouble(folder, settings.min_free_bytes)
    if trouble is not None:
        yield Finding("data directory", "error", trouble, f"give {folder} room, and to the server's user")
        return
    found = folder.stat()
    if not storage.kept_private(found, found):
        # Marked so by an orchestrator, which would open every file anew if that was taken back.
        kept = f"chmod o-rwx {folder}, as its owner: any other mode has the next mount open every file to the group"
        todo = kept if found.st_mode & S_ISGID else f"chmod 700 {folder}"
        yield Finding("data directory", "warning", f"others may look into {folder}", todo)
    yield Finding("data directory", "ok", f"{folder} can be written")


def _store(settings: Settings) -> Iterator[Finding]:
    if not (settings.data_dir / "store.db").exists():
        yield Finding("store", "ok", "there is none yet; the first document or start makes it")
        return
    try:
        found = store.check_up(settings)
    except StoreFailed as error:
        yield Finding("store", "error", str(error), "restore a backup: hrm-serve restore FOLDER --replace")
        return
    if found.schema != found.known_schema:
        yield _version_of("store.db", found.schema, found.known_schema)
        return
    yield Finding("store", "ok", f"schema {found.schema}, generation {found.generation}")
    if settings.default_store is not None and settings.default_store not in store.store_names(settings):
        said = f"there is no store {settings.default_store}, so each question that names none is a 404"
        yield Finding("default store", "error", said, "make it, or let HRM_DEFAULT_STORE name one that is there")
    if found.embedder not in ("", found.own_embedder):
        said = f"its vectors are of {found.embedder}, and this version embeds with {found.own_embedder}"
        yield Finding("embedder", "error", said, "run: hrm-serve reindex")
    if found.jobs and (found.reader is None or found.reader_until < time()):
        said = f"{found.jobs} files wait to be read, and no process reads"
        yield Finding("store", "warning", said, "start the server, which reads them")
    elif found.reader is not None and found.reader_until >= time():
        yield Finding("store", "ok", f"process {found.reader} reads files; {found.jobs} wait")
    if found.unusable:
        said = f"the snapshot has files that are gone or changed: {', '.join(found.unusable)}"
        yield Finding(
            "index",
            "warning",
            said,
            "nothing is lost, and the next start takes longer; look at the disk, unless something was erased since",
        )
    elif found.snapshot is not None and found.snapshot > found.generation:
        said = f"the snapshot is of generation {found.snapshot}, ahead of the store"
        yield Finding("index", "warning", said, "the next start makes it anew; was store.db replaced by hand?")
    elif found.snapshot is None:
        yield Finding("index", "ok", "no snapshot yet; the next start makes it from the store")
    else:
        behind = found.generation - found.snapshot
        yield Finding("index", "ok", f"the snapshot is {behind} changes behind, which the next start applies")


def _ledger(settings: Settings) -> Iterator[Finding]:
    path = settings.data_dir / LEDGER
    keys = valid = 0
    if path.exists():
        try:
            with looking(path) as db:
                version = db.pragma("user_version")
                opens = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)"
                ends = db.execute(f"SELECT {opens} FROM keys", (time(),)).fetchall()
                keys, valid = len(ends), sum(bool(row[0]) for row in ends)
        except Unreadable as error:
            yield Finding("ledger", "error", f"{path}: {error}", "restore ledger.db from a backup")
            return
        if version != len(LEDGER_SCHEMA):
            yield _version_of(LEDGER, version, len(LEDGER_SCHEMA))
        if keys and not valid and settings.oidc_issuer is None:
            said = (
                f"none of the {keys} keys opens anything any more, as each is revoked or has expired: nobody can get in"
            )
            yield Finding("ledger", "warning" if settings.is_loopback else "error", said, _MAKE_A_KEY)
        else:
            yield Finding("ledger", "ok", f"{keys} keys, of which {valid} {'is' if valid == 1 else 'are'} valid")
    if not keys and settings.first_key_file is not None:
        try:
            records.first_secret(settings.first_key_file)
        except (LedgerError, OSError) as error:
            yield Finding("first key", "error", " ".join(str(error).split()), "put a secret there, or make a key")
    known = keys or settings.first_key_file is not None or settings.oidc_issuer is not None
    if not known and not settings.is_loopback:
        said = f"there is no API key and no identity provider, so the server does not start on {settings.host}"
        yield Finding("ledger", "error", said, _MAKE_A_KEY)


def _secrets(settings: Settings) -> Iterator[Finding]:
    key = settings.data_dir / KEY_FILE
    try:
        if key.exists():  # a start makes it otherwise
            Signer.read(key)
    except (SigningKeyError, OSError) as error:
        todo = f"chmod 600 {key}; what is no key of ours: restore it from a backup, or move it away for a new one"
        yield Finding("signing key", "error", str(error), todo)
    try:
        if settings.audit != "off" and settings.audit_content_key_file is not None:
            content_key(settings.audit_content_key_file)
    except (AuditError, OSError) as error:
        yield Finding("content key", "error", str(error), "put the secret of the log's texts there")
    for about, file in (("first key", settings.first_key_file), ("content key", settings.audit_content_key_file)):
        if file is not None and _is_open_to_others(file):
            todo = f"let the server's user own it, and chmod 600 {file}"
            yield Finding(about, "warning", f"others may read {file}", todo)


def _is_open_to_others(file: Path) -> bool:
    try:
        return not storage.kept_private(file.stat(), file.parent.stat())
    except OSError:  # whoever needs what is in it says so
        return False


def _audit(settings: Settings) -> Iterator[Finding]:
    path = settings.data_dir / AUDIT
    if settings.audit == "off":
        yield Finding("audit log", "warning", "is off: nothing of what happens is recorded", "HRM_AUDIT=durable")
        return
    if not path.exists():
        return
    try:
        with looking(path) as db:
            version = db.pragma("user_version")
            query = "SELECT number, record, hash, signature FROM audit ORDER BY number DESC LIMIT 2"
            last = [Entry(*row) for row in reversed(db.execute(query).fetchall())]
    except Unreadable as error:
        yield Finding("audit log", "error", f"{path}: {error}", "restore audit.db from a backup")
        return
    ledger = settings.data_dir / LEDGER
    try:
        with looking(ledger) as db:
            keys = [str(row[0]) for row in db.execute("SELECT public_key FROM signing_keys").fetchall()]
    except Unreadable as error:
        said = f"its records cannot be checked without the public keys in {ledger}: {error}"
        yield Finding("audit log", "error", said, f"restore {LEDGER} from a backup; {AUDIT} may be sound")
        return
    if version != len(AUDIT_SCHEMA):
        yield _version_of(AUDIT, version, len(AUDIT_SCHEMA))
        return
    try:
        before = Head() if len(last) < 2 else Head(last[0].number, last[0].hash)
        for entry in last[-1:]:
            check_next(before, entry, keys)
    except Broken as error:
        yield Finding("audit log", "error", str(error), "run: hrm-serve audit verify, and tell who answers for the log")
        return
    except SigningKeyError as error:
        said = f"a public key in {ledger} is damaged: {error}"
        yield Finding("signing keys", "error", said, f"restore {LEDGER} from a backup")
        return
    yield Finding("audit log", "ok", f"{last[-1].number if last else 0} records, the last of which holds")


def _model(settings: Settings) -> Iterator[Finding]:
    try:
        found = model.needs(settings)
    except (CheckpointError, SettingsError, OSError) as error:
        yield Finding("model", "error", str(error), f"run: hrm-serve check-model {settings.model}")
        return
    wanted = found.weight_bytes + found.cache_bytes
    said = f"weights and K/V cache take {wanted:,} bytes, of {found.free_bytes:,} that are free"
    if wanted > found.free_bytes:
        yield Finding("memory", "error", said, "lower HRM_KV_CACHE_BYTES, or set HRM_WEIGHTS and HRM_KV_DTYPE to int8")
    else:
        yield Finding("memory", "ok", said)
    said = f"{found.threads} threads compute on {found.cores} cores"
    if found.threads > found.cores:
        yield Finding("threads", "warning", said, f"set OMP_NUM_THREADS={found.cores}, or they wait for each other")
    else:
        yield Finding("threads", "ok", said)
    if found.compiled_lack is not None:
        said = f"answers are written by torch alone, which is slower: {found.compiled_lack}"
        yield Finding("compiled step", "warning", said, _BUILD_IT)


def _sqlite(settings: Settings) -> Iterator[Finding]:
    version, has_texts = store.sqlite_build()
    if has_texts:
        yield Finding("SQLite", "ok", f"{version} with FTS5")
    else:
        yield Finding("SQLite", "error", f"{version} is built without FTS5", "pip install --force-reinstall apsw")


def _version_of(name: str, found: object, known: int) -> Finding:
    said = f"{name} is of version {found}, and this program's is {known}"
    if isinstance(found, int) and found < known:
        return Finding("schema", "warning", said, "the next start brings it forward, after a copy; make a backup first")
    return Finding("schema", "error", said, "run the newer version that wrote it")


CHECKS: tuple[Check, ...] = (
    *(_data_dir, _store, _ledger, _secrets, _audit, _model),
    *doctor_network.CHECKS,
    _sqlite,
)
