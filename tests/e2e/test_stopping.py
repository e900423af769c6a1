"""A server that is stopped in the middle of its other work: it ends by itself, and soon."""

from pathlib import Path
from time import monotonic, sleep

import httpx
import openai

from tests.e2e.served import serving, write_checkpoint


def test_a_server_that_is_stopped_while_it_reads_a_large_file_is_gone_soon(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    checkpoint = write_checkpoint(tmp_path / "model")
    with (
        serving(tmp_path, checkpoint) as served,
        openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0, timeout=60) as client,
    ):
        # One paragraph, as a log is: nothing of it can be cut before all of it has been counted.
        large = client.files.create(file=("log.txt", b"A line of the log. " * 500_000), purpose="assistants")
        client.vector_stores.create(name="logs", file_ids=[large.id])
        deadline = monotonic() + 120
        while "hrm_ingest_parse_seconds_count 1.0" not in httpx.get(f"{served.url}/metrics").text:
            assert monotonic() < deadline
            sleep(0.05)
        served.terminate()
        while " stopped\n" not in served.log.read_text():
            assert monotonic() < deadline
            sleep(0.05)
        stopped = monotonic()

        assert served.process.wait(60) == 0
        assert monotonic() - stopped < 20
