"""The real process behind TLS and client certificates, driven by the openai client, while its files change."""

import ssl
from pathlib import Path

import httpx
import openai
import pytest

from server.tls import NOT_TAKEN
from tests.authority import Authority
from tests.e2e.served import hrm_serve, serving, write_checkpoint


def test_a_server_with_mutual_tls_takes_new_files_without_a_restart(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair, own = authority.issue("server"), authority.issue("client")
    context = ssl.create_default_context(cafile=authority.certificate)
    context.load_cert_chain(own.certificate, own.key)
    flags = ["--tls-certificate", str(pair.certificate), "--tls-key", str(pair.key)]
    flags += ["--tls-client-ca", str(authority.certificate), "--tls-minimum", "1.3"]
    checkpoint = write_checkpoint(tmp_path / "hrm-tiny")
    with serving(tmp_path, checkpoint, flags, verify=context) as served:
        assert served.url.startswith("https://")
        with (
            openai.DefaultHttpxClient(verify=context) as http,
            openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", http_client=http) as client,
        ):
            assert next(iter(client.models.list())).id == "hrm-tiny"
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{served.url}/livez", verify=ssl.create_default_context(cafile=authority.certificate))

        pair.key.write_text("half a key")
        broken = httpx.get(f"{served.url}/readyz", verify=context).json()
        authority.issue("server")
        mended = httpx.get(f"{served.url}/readyz", verify=context).json()

        assert "server" not in httpx.get(f"{served.url}/livez", verify=context).headers
        assert (broken["warnings"], mended["warnings"]) == ([NOT_TAKEN], [])
        said = served.log.read_text()
        assert "server.key holds no private key in PEM" in said
        assert "new TLS files serve from now on" in said


def test_tls_files_that_cannot_serve_stop_the_start_in_words(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair, other = authority.issue("server"), authority.issue("other")

    ended = hrm_serve(
        "serve",
        *("--data-dir", str(tmp_path / "data")),
        *("--tls-certificate", str(pair.certificate), "--tls-key", str(other.key)),
    )

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].endswith("other.key: the key is not the certificate's.")
