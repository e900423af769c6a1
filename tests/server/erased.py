"""An erasure as the store reports it."""

from retrieval.erasure import Erasure

ERASURE = Erasure(
    erasure_id="erasure_1",
    file_id="file-1",
    store_ids=("vs_1",),
    is_whole=True,
    owner="user:ann",
    by="user:root",
    reason="deleted",
    requested_at=1_700_000_000,
    salt="00",
    name_hash="aa",
    content_hash="bb",
    bytes=10,
    chunks=2,
    generation_before=4,
    generation_after=5,
)
