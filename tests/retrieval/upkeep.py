"""A restore or a reindexing as a process of its own, for the tests; see `tests.retrieval.process` for the trap.

python -m tests.retrieval.upkeep restore BACKUP DATA_DIR [FUNCTION EVENT NTH]
python -m tests.retrieval.upkeep reindex EMBEDDER DATA_DIR [FUNCTION EVENT NTH]
"""

import sys
from pathlib import Path

from retrieval.erasure import Gone
from retrieval.reindex import reindex
from retrieval.restore import restore
from tests.retrieval.desk import WordsEmbedder
from tests.retrieval.process import arm

if __name__ == "__main__":
    what, argument, data_dir = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    if len(sys.argv) > 4:
        arm(sys.argv[4], sys.argv[5], int(sys.argv[6]))
    if what == "restore":
        restore(Path(argument), data_dir, Gone(), replace=True)
    else:
        reindex(data_dir, WordsEmbedder(argument), lambda done, total: None)
