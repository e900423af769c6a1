"""The bill of materials of a bundle, in CycloneDX's JSON: every wheel, what was put into it, and who needs whom."""

from collections.abc import Sequence

from cyclonedx.contrib.hash.factories import HashTypeFactory
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.utils import NormalizedName, canonicalize_name

from release.licences import LIBRARIES, licence_of
from release.wheels import Wheel

VERSION = SchemaVersion.V1_6


class Invalid(Exception):
    """What was written does not keep to CycloneDX's schema."""


def bill_of_materials(wheels: Sequence[Wheel], models: Sequence[Component], subject: str) -> str:
    """Describe a bundle as JSON that keeps to CycloneDX's schema.

    Args:
        models: components for the models that wheels carry.
        subject: the name of the wheel that the bundle is for; it must be among the wheels.

    Raises:
        Invalid: the result breaks the schema: our bug, or the library's.
    """
    components = {wheel.name: _component(wheel) for wheel in wheels}
    bom = Bom(
        components=[*(one for name, one in components.items() if name != subject), *models],
        dependencies=[_edges(wheel, components) for wheel in wheels],
    )
    bom.metadata.component = components[canonicalize_name(subject)]
    bom.metadata.component.type = ComponentType.APPLICATION
    text = make_outputter(bom, OutputFormat.JSON, VERSION).output_as_string(indent=2)
    if fault := JsonStrictValidator(VERSION).validate_str(text):
        raise Invalid(f"The bill of materials is not valid CycloneDX: {fault}")
    return text + "\n"


def model(name: str, version: str, sha256: str, licence: str, carried_by: str) -> Component:
    """A model's weights as a component."""
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=name,
        version=version,
        bom_ref=f"{name}@{version}",
        description=f"Weights, carried by the wheel of {carried_by}.",
        licenses=[LicenseFactory().make_from_string(licence)],
        hashes=[HashTypeFactory().from_hashlib_alg("sha256", sha256)],
    )


def _component(wheel: Wheel) -> Component:
    licence = licence_of(wheel)
    return Component(
        type=ComponentType.LIBRARY,
        name=wheel.name,
        version=wheel.version,
        bom_ref=f"{wheel.name}@{wheel.version}",
        purl=PackageURL("pypi", name=wheel.name, version=wheel.version),
        description=wheel.metadata["Summary"],
        licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
        hashes=[HashTypeFactory().from_hashlib_alg("sha256", wheel.sha256)],
        components=[
            Component(
                type=ComponentType.LIBRARY,
                name=library,
                bom_ref=f"{wheel.name}@{wheel.version}/{library}",
                licenses=[LicenseFactory().make_from_string(LIBRARIES[library])] if library in LIBRARIES else [],
            )
            for library in wheel.libraries
        ],
    )


def _edges(wheel: Wheel, components: dict[NormalizedName, Component]) -> Dependency:
    needed = {canonicalize_name(requirement.name) for requirement in wheel.needs()}
    return Dependency(
        components[wheel.name].bom_ref,
        [Dependency(components[name].bom_ref) for name in sorted(needed) if name in components],
    )
