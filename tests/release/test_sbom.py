"""The bill of materials: valid CycloneDX, with every wheel's licence and digest, what is inside, and who needs whom."""

import json
from hashlib import sha256
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from release.bundle import models
from release.sbom import bill_of_materials
from release.wheels import read_wheels
from retrieval.embedder import SHA256 as MINILM
from tests.release.made import make_wheel


def weights_of_ours() -> list[Path]:
    """All that a wheel of this project takes along."""
    root = Path(__file__).parents[2]
    return [
        path for package in ("hrm_model", "retrieval", "server") for path in (root / package).rglob("*.safetensors")
    ]


def test_every_part_is_there_with_licence_digest_and_what_it_needs(tmp_path: Path) -> None:
    make_wheel(tmp_path, "hrm-serve", "License-Expression: Apache-2.0", "Requires-Dist: numbers>=1")
    make_wheel(tmp_path, "numbers", "License: BSD-3-Clause", files=("numbers.libs/libgomp-1a.so.1",))
    wheels = read_wheels(tmp_path)

    text = bill_of_materials(wheels, models("1.0"), "hrm-serve")

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bom = json.loads(text)
    assert bom["metadata"]["component"]["bom-ref"] == "hrm-serve@1.0"
    parts = {part["name"]: part for part in bom["components"]}
    assert parts["numbers"]["purl"] == "pkg:pypi/numbers@1.0"
    assert parts["numbers"]["licenses"] == [{"license": {"id": "BSD-3-Clause"}}]
    assert parts["numbers"]["hashes"] == [{"alg": "SHA-256", "content": wheels[1].sha256}]
    assert [inner["name"] for inner in parts["numbers"]["components"]] == ["libgomp"]
    assert {"ref": "hrm-serve@1.0", "dependsOn": ["numbers@1.0"]} in bom["dependencies"]
    named = {part["hashes"][0]["content"] for part in parts.values() if part["type"] == "machine-learning-model"}
    carried = {sha256(path.read_bytes()).hexdigest() for path in weights_of_ours()}
    assert len(carried) == 2
    assert named == {*carried, MINILM}
