"""The real process with a listener for its metrics: open before it is ready, until after its last answer."""

import socket
from pathlib import Path
from time import monotonic

import httpx

from tests.e2e.served import hrm_serve, serving, write_checkpoint
from tests.samples import Samples, samples

KEY = "first-secret-of-more-than-32-characters"


def scraped(url: str) -> Samples:
    return samples(httpx.get(url, timeout=10).text)


def test_metrics_need_no_key_on_their_own_listener_and_are_told_while_the_server_drains(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "hrm-tiny")
    (tmp_path / "first_key").write_text(KEY)
    flags = ["--metrics-listen", "127.0.0.1:0", "--first-key-file", str(tmp_path / "first_key")]
    headers = {"Authorization": f"Bearer {KEY}"}
    body = {"model": "hrm-tiny", "messages": [{"role": "user", "content": "Who?"}], "stream": True}
    with serving(tmp_path, checkpoint, flags, wait=False) as served:
        url = f"{served.metrics_url}/metrics"
        assert scraped(url)["hrm_ready", ()] == 0
        deadline = monotonic() + 60
        while served.ready() is not None:
            assert monotonic() < deadline
        assert scraped(url)["hrm_ready", ()] == 1
        assert httpx.get(f"{served.url}/metrics").status_code == 401
        assert httpx.get(f"{served.url}/metrics", headers=headers).status_code == 200
        assert httpx.get(f"{served.metrics_url}/livez").status_code == 404

        chat = f"{served.url}/v1/chat/completions"
        with httpx.stream("POST", chat, json={**body, "max_tokens": 900, "n": 4}, headers=headers) as stream:
            lines = stream.iter_lines()
            next(lines)
            served.terminate()
            while served.ready() is None:
                pass
            draining = scraped(url)
            frames = [line for line in lines if line.startswith("data: ")]

        assert draining["hrm_ready", ()] == 0
        assert draining["vllm:num_requests_running", (("model_name", "hrm-tiny"),)] > 0
        assert frames[-1] == "data: [DONE]"
        assert served.process.wait(20) == 0


def test_a_taken_port_is_said_before_anything_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        flags = ["--port", "0", "--data-dir", str(tmp_path / "data"), "--metrics-listen", f"127.0.0.1:{port}"]
        ended = hrm_serve("serve", *flags)

    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in ended.stderr
    assert "loading" not in ended.stderr


def test_an_address_that_others_reach_is_said_in_the_log(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "hrm-tiny")
    with serving(tmp_path, checkpoint, ["--metrics-listen", "0.0.0.0:0"], wait=False) as served:
        said = served.log.read_text()

    assert "/metrics needs no key: whoever can reach that address reads it" in said
