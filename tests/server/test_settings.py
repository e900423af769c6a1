"""The settings: environment, then file, then flags; and what a typing mistake gets."""

import os
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from server.settings import BUNDLED_NAME, Settings
from server.settings_reading import SettingsError, dashed


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.upper().startswith("HRM_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_everything_has_a_default() -> None:
    settings = Settings.load()

    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 8000, Path("data"))
    assert settings.model_id == BUNDLED_NAME


def test_flags_win_over_the_file_and_the_file_over_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("PORT", "RETRIEVAL_K", "MAX_WAITING"):
        monkeypatch.setenv(f"HRM_{name}", "1")
    (tmp_path / "hrm-serve.toml").write_text("retrieval_k = 2\nmax_waiting = 2\n")

    settings = Settings.load({"max_waiting": "3"})

    assert (settings.port, settings.retrieval_k, settings.max_waiting) == (1, 2, 3)


def test_the_file_may_lie_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('port = 9001\nkv_cache_bytes = "2GiB"\n')
    monkeypatch.setenv("HRM_CONFIG", "mine.toml")

    settings = Settings.load()

    assert (settings.port, settings.kv_cache_bytes) == (9001, 2 * 1024**3)


def test_a_file_that_is_named_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HRM_CONFIG", "missing.toml")

    with pytest.raises(SettingsError, match=r"HRM_CONFIG names missing\.toml, which is not a file"):
        Settings.load()


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HRM_FIRST_KEY_FILE", "")
    monkeypatch.setenv("HRM_PORT", "")

    settings = Settings.load()

    assert (settings.first_key_file, settings.port) == (None, 8000)


def test_the_clients_key_is_nothing_to_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HRM_API_KEY", "hrm_x")

    assert Settings.load() == Settings()


def test_a_misspelt_variable_stops_the_start_and_is_corrected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HRM_RETREIVAL_K", "4")

    with pytest.raises(SettingsError, match=r"HRM_RETREIVAL_K in the environment .* Did you mean HRM_RETRIEVAL_K\?"):
        Settings.load()


def test_a_variable_in_small_letters_is_not_overlooked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("hrm_port", "9000")

    with pytest.raises(SettingsError, match=r"hrm_port in the environment is not a setting. Did you mean HRM_PORT\?"):
        Settings.load()


def test_a_misspelt_key_in_the_file_stops_the_start_and_is_corrected(tmp_path: Path) -> None:
    (tmp_path / "hrm-serve.toml").write_text("prot = 9000\n")

    with pytest.raises(SettingsError, match=r"prot in hrm-serve\.toml is not a setting\. Did you mean port\?"):
        Settings.load()


def test_every_unknown_name_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HRM_ZZZZ", "4")
    monkeypatch.setenv("HRM_MODLE", "x")

    with pytest.raises(SettingsError) as refusal:
        Settings.load()

    assert str(refusal.value).splitlines() == [
        "HRM_MODLE in the environment is not a setting. Did you mean HRM_MODEL?",
        "HRM_ZZZZ in the environment is not a setting.",
    ]


def test_a_value_out_of_bounds_is_named_with_where_it_stands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HRM_PORT", "99999")
    (tmp_path / "hrm-serve.toml").write_text("retrieval_k = 0\n")

    with pytest.raises(SettingsError) as refusal:
        Settings.load({"max_running": "many"})

    words = str(refusal.value)
    assert "HRM_PORT: Input should be less than or equal to 65535 (it is 99999)." in words
    assert "retrieval_k in hrm-serve.toml: Input should be greater than or equal to 1 (it is 0)." in words
    assert "--max-running: Input should be a valid integer" in words


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "hrm-serve.toml").write_text("port: 9000\n")

    with pytest.raises(SettingsError, match=r"hrm-serve\.toml is not TOML"):
        Settings.load()


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "hrm-serve.toml").write_bytes(b'abstention = "Gr\xfc\xdfe"\n')

    with pytest.raises(SettingsError, match=r"hrm-serve\.toml is not UTF-8: byte 16 cannot be read"):
        Settings.load()


def test_an_engine_that_is_not_built_in_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=r"--engine: Input should be 'native' \(it is vllm\)"):
        Settings.load({"engine": "vllm"})


def test_a_model_is_called_by_its_folder_unless_it_is_given_a_name(tmp_path: Path) -> None:
    folder = tmp_path / "my-hrm"

    assert Settings(model=folder).model_id == "my-hrm"
    assert Settings(model=folder, served_model_name="claims").model_id == "claims"


@pytest.mark.parametrize("name", ["a@b", "a b", "", "@none"])
def test_a_model_name_leaves_room_for_a_store_behind_an_at_sign(name: str) -> None:
    with pytest.raises(ValidationError):
        Settings(served_model_name=name)


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.4", False),
        ("localhost.example.org", False),
    ],
)
def test_loopback_is_told_from_every_other_address(host: str, is_loopback: bool) -> None:
    assert Settings(host=host).is_loopback is is_loopback


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1  # type: ignore[misc]  # the point of the test


def test_keyword_arguments_alone_never_read_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HRM_PORT", "9000")

    assert Settings().port == 8000


def test_every_setting_is_described_and_bounded() -> None:
    unbounded = {"host"}  # the names of places have no bounds

    for name, field in Settings.model_fields.items():
        assert field.description, name
        closed = any(
            kind in str(field.annotation) for kind in ("Literal", "Field", "pattern", "annotated_types", "Ge(")
        )
        assert name in unbounded or "Path" in str(field.annotation) or field.metadata or closed, name


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tls_certificate": "a.pem"}, "tls_certificate and tls_key belong together"),
        ({"tls_key": "a.key"}, "tls_certificate and tls_key belong together"),
        ({"tls_client_ca": "ca.pem"}, "tls_client_ca needs tls_certificate and tls_key"),
        ({"tls_certificate": "a.pem", "tls_key": "a.key", "tls_minimum": "1.1"}, "--tls-minimum"),
    ],
)
def test_half_of_tls_is_none(given: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Settings.load(given)


@pytest.mark.parametrize(
    ("given", "address", "are_exposed"),
    [
        (None, None, False),
        ("127.0.0.1:8001", ("127.0.0.1", 8001), False),
        ("localhost:0", ("localhost", 0), False),
        ("[::1]:8001", ("::1", 8001), False),
        ("[::]:8001", ("::", 8001), True),
        ("0.0.0.0:8001", ("0.0.0.0", 8001), True),
        ("hrm.example.org:8001", ("hrm.example.org", 8001), True),
    ],
)
def test_metrics_may_have_an_address_of_their_own(
    given: str | None, address: tuple[str, int] | None, are_exposed: bool
) -> None:
    settings = Settings(metrics_listen=given)

    assert (settings.metrics_address, settings.metrics_are_exposed) == (address, are_exposed)


def test_metrics_that_need_a_certificate_are_not_exposed() -> None:
    given = {"tls_certificate": "a.pem", "tls_key": "a.key", "tls_client_ca": "ca.pem"}

    assert not Settings.load({"metrics_listen": "0.0.0.0:8001", **given}).metrics_are_exposed


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("8001", "--metrics-listen: it must be an address and a port, as 127.0.0.1:8001"),
        (":8001", "--metrics-listen: it must be an address and a port, as 127.0.0.1:8001"),
        ("::1:8001", "--metrics-listen: it must be an address and a port, as 127.0.0.1:8001"),
        ("http://127.0.0.1:8001", "--metrics-listen: it must be an address and a port, as 127.0.0.1:8001"),
        ("127.0.0.1:65536", "metrics_listen names port 65536, and the last one is 65535"),
        ("127.0.0.1:8000", "metrics_listen is the address of host and port"),
    ],
)
def test_an_address_that_is_none_or_taken_is_refused(given: str, said: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(said)):
        Settings.load({"metrics_listen": given})


@pytest.mark.parametrize("given", ["*", "https://a.example/", "a.example", "https://a.example,*", "https://*.example"])
def test_origins_of_web_pages_are_exact(given: str) -> None:
    with pytest.raises(SettingsError, match="cors-origins"):
        Settings.load({"cors_origins": given})


def test_origins_of_web_pages_are_named_with_commas() -> None:
    given = "https://a.example,http://[::1]:3000"

    assert Settings.load({"cors_origins": given}).cors_origins == given


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"oidc_algorithms": "HS256"}, "--oidc-algorithms: it must be one or more of RS256, RS384,"),
        ({"oidc_algorithms": "HS256"}, "never HS*, whose key is a secret that both sides know (it is HS256)."),
        ({"cors_origins": "*"}, "each named, as * would let in every page (it is *)."),
        (
            {"oidc_jwks_url": "http://id.example.org/jwks"},
            "it must be an https address, as https://id.example.org/jwks",
        ),
        ({"default_store": "Hand book"}, "--default-store: it must be the name or id of a store"),
    ],
)
def test_what_is_spelled_otherwise_is_told_what_is_expected(given: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load(given)

    assert said in str(caught.value)


@pytest.mark.parametrize("before", ["user:se/cr@et@", "https://user:se?cret@", "https://se#cret@"])
def test_a_password_in_an_address_is_not_repeated(before: str) -> None:
    with pytest.raises(SettingsError, match=r"password in it, .* \(it is (https://)?\*\*\*@host:4318\)") as caught:
        Settings.load({"otel_endpoint": f"{before}host:4318"})

    assert not re.search("user|se.?cr", str(caught.value))


def test_no_setting_answers_with_a_pattern() -> None:
    for name, field in Settings.model_fields.items():
        if "pattern" in str(field):
            with pytest.raises(SettingsError) as caught:
                Settings.load({name: "\n"})
            words = str(caught.value)
            assert f"{dashed(name)}: it must be " in words
            assert "pattern" not in words
